/** How far long work has come. */
export { amountText, bytesText } from './amount.js';
export { type Progress, type ProgressOptions, progress } from './progress.js';
