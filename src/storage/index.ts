export { BboltImage, type ImageEntry } from './bbolt-image.js';
export { type BboltEntry, type BboltReader, openBbolt } from './bbolt-reader.js';
export type { RevisionHash } from './compaction-hashes.js';
export { type DiskFact, diskFact, diskFailure } from './disk-failure.js';
export {
  chooseGeneration,
  KvGenerations,
  type KvPlace,
  type OpenGeneration,
  openGenerations,
} from './kv-generations.js';
export { openLevelStore } from './kv-level.js';
export { sortInSlices } from './mvcc-sort.js';
export { type MvccSetup, noConfiguration } from './mvcc-state.js';
export { openMvccStore } from './mvcc-store.js';
export {
  decodeRecord,
  encodeRecord,
  type KeyValueFields,
  recordValue,
} from './record.js';
export { damagedRemedy, inUseRemedy, newerVersionRemedy } from './remedies.js';
export * from './snapshot-types.js';
export type { SnapshotView } from './snapshot-view.js';
export { type ImportedMark, StoreImport } from './store-import.js';
export * from './types.js';
export { openWal, type WalOptions } from './wal.js';
export { inspectWal, type WalRecord } from './wal-inspect.js';
export { parseSegmentName, syncPath } from './wal-segment.js';
