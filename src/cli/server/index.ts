/** `kvorum`: a server, from its command line to its end. */

export { runServerCommand, type StartNode } from './command.js';
