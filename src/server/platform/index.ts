/** This machine: its clock, disk, sockets and certificates, systemd, the log. */
export { AutoTlsPair } from './auto-tls.js';
export { nodeClock } from './clock-node.js';
export { nodeDisk } from './disk-node.js';
export { createHttp1 } from './http1-node.js';
export { createLogger, type FlushableLogger } from './logger-pino.js';
export { nodeNetwork } from './network-node.js';
export { type MachinePorts, nodePorts } from './node-ports.js';
export { nodePasswords } from './passwords-node.js';
export { openNodeRandom } from './random-node.js';
export { type NotifyResult, type NotifyState, notifySystemd } from './systemd.js';
export { tlsRefusals } from './tls-refusals.js';
export { type RenewedTls, renewedTls } from './tls-renewal.js';
