/** Named clusters: the commands about them, and how a command gets the flags of one. */
export { contextCommand } from './commands.js';
export { withContext } from './with-context.js';
