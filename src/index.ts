/** kvorum inside another program: a server, on this machine's ports or in memory alone. */
export * from './server/index.js';
export { createMemoryDisk, type MemoryPorts, memoryPorts } from './sim/member/index.js';
