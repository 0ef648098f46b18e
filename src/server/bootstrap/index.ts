/** From a directory, or none yet, to a member that can run: founding, opening, forcing. */
export * from './data-dir.js';
export * from './force-new-cluster.js';
export * from './metadata.js';
export * from './open-storage.js';
export * from './setup.js';
export { imageFileName } from './stale-images.js';
