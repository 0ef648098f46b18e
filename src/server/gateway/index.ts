/** etcd's JSON gateway: the member's methods under /v3/. */
export type { GatewayOptions } from './call.js';
export { createGateway } from './gateway.js';
