/** Leases that are kept, and the queue of those who hold something by one. */
export { keepAliveAnswers } from './keep-alive.js';
export { firstBelow, waitForOlder } from './queue.js';
export { Session } from './session.js';
