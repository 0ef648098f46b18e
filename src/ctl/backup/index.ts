/** `kvorum backup`: backups by hand, and what can be done with those that there are. */
export { backupCommands } from './commands.js';
