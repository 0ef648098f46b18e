/** The file format of etcd's database, for snapshots: written, and read. */

export { BboltImage, type ImageEntry } from './image.js';
export { type BboltEntry, type BboltReader, openBbolt } from './reader.js';
