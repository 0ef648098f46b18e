/** Sockets and TLS in threads of their own. */
export { type ThreadedNetwork, type ThreadedNetworkOptions, threadedNetwork } from './network.js';
