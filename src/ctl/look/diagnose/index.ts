/** `diagnose` */
export { diagnoseCommand } from './diagnose.js';
