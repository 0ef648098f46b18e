/** The client of a command, made of the flags that all commands have. */
export { type Answer, ask, type Rpc } from './ask.js';
export { clientOf, signedIn, urlOf } from './connect.js';
export { withDiscovery } from './discovery.js';
