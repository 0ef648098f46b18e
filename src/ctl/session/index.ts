/** Leases that are kept, for the commands that hold something. */
export { keepAliveAnswers } from './keep-alive.js';
