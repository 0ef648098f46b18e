/** `status` */
export { clockText, surelyOffMs } from './clock-text.js';
export { statusCommand } from './status.js';
export { statusJson } from './status-json.js';
