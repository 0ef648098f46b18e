/** `kvorum join`: a new member of a running cluster, in one command. */
export { runJoinCommand } from './join.js';
