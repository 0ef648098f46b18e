/** The code of a server exercised before it serves. */
export { type WarmUpOptions, type WarmUpReport, warmUp } from './warm-up.js';
