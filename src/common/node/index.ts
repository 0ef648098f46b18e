/** Ports of src/common on Node itself. */
export * from './clock.js';
