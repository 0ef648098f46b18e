/** Asking before something is destroyed. */
export { confirm, yesFlag } from './confirm.js';
