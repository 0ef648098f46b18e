/** What a whole member needs to run without a machine: a disk, all ports, links to the others. */
export { createMemoryDisk } from './memory-disk.js';
export { type MemoryPorts, memoryPorts } from './memory-ports.js';
export { SimPeerTransport } from './peer-transport.js';
export { SimPeerWire } from './peer-wire.js';
