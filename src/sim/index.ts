/** Simulated ports, for tests and for whole clusters in one process. */
export * from './clock.js';
export * from './disk.js';
export * from './kv-store.js';
export * from './network-memory.js';
export * from './passwords.js';
export * from './random.js';
export * from './threads.js';
