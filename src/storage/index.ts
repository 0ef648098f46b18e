export { BboltImage, type ImageEntry } from './bbolt/image.js';
export { type BboltEntry, type BboltReader, openBbolt } from './bbolt/reader.js';
export { type DiskFact, diskFact, diskFailure } from './disk-failure.js';
export {
  chooseGeneration,
  KvGenerations,
  type KvPlace,
  type OpenGeneration,
  openGenerations,
} from './level/generations.js';
export { openLevelStore } from './level/kv-level.js';
export type { RevisionHash } from './mvcc/compaction-hashes.js';
export {
  decodeRecord,
  encodeRecord,
  type KeyValueFields,
  recordValue,
} from './mvcc/record.js';
export { sortInSlices } from './mvcc/sort.js';
export { type MvccSetup, noConfiguration } from './mvcc/state.js';
export { openMvccStore } from './mvcc/store.js';
export { damagedRemedy, inUseRemedy, newerVersionRemedy } from './remedies.js';
export { type ImportedMark, StoreImport } from './transfer/store-import.js';
export * from './transfer/types.js';
export type { SnapshotView } from './transfer/view.js';
export * from './types.js';
export { inspectWal, type WalRecord } from './wal/inspect.js';
export { parseSegmentName, syncPath } from './wal/segment.js';
export { openWal, type WalOptions } from './wal/wal.js';
