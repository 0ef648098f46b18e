/** `top` */
export { topCommand } from './top.js';
