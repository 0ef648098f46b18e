/** Watches over encoded messages, for the commands that follow keys. */
export { Watch, type Watched } from './watch-stream.js';
