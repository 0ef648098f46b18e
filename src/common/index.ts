/** What every other folder may use: no I/O, no policy. */
export * from './abort.js';
export * from './assert.js';
export * from './backoff.js';
export * from './brands.js';
export * from './bytes.js';
export * from './caller.js';
export { crc32c } from './crc32c.js';
export * from './errors.js';
export { kvorumVersion } from './kvorum-version.js';
export * from './limits.js';
export * from './ports.js';
export * from './sharded-map.js';
export * from './shares.js';
export * from './slice.js';
export * from './versions.js';
export * from './waiting.js';
