/** The client of a command, made of the flags that all commands have. */
export { clientOf, urlOf } from './connect.js';
