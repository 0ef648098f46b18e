/** How far long work has come. */
export { type Progress, type ProgressOptions, progress } from './progress.js';
