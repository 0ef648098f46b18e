/**
 * Storage: the write-ahead log, the MVCC store and what both are made of. Start reading at
 * wal/wal.ts and mvcc/store.ts.
 */

export {
  type BboltEntry,
  BboltImage,
  type BboltReader,
  type ImageEntry,
  openBbolt,
} from './bbolt/index.js';
export { type DiskFact, diskFact, diskFailure } from './disk-failure.js';
export {
  chooseGeneration,
  KvGenerations,
  type KvPlace,
  type OpenGeneration,
  openGenerations,
  openLevelStore,
} from './level/index.js';
export {
  type AnswerRoom,
  type EventPage,
  type KeyState,
  type MvccCommit,
  type MvccEvent,
  type MvccPresent,
  type MvccSetup,
  type MvccStore,
  type MvccStoreOptions,
  type MvccWriteTxn,
  openMvccStore,
  type PointReader,
  type PrepareSwitch,
  type RangeQuery,
  type RangeResult,
  type ReadPoint,
  type RevisionHash,
  type StoredMeta,
  sortInSlices,
  type VisitedKey,
} from './mvcc/index.js';
export { damagedRemedy, inUseRemedy, newerVersionRemedy } from './remedies.js';
export {
  type AppliedMark,
  decodeRecord,
  encodeRecord,
  type KeyValueFields,
  recordValue,
} from './schema/index.js';
export { syncPath } from './sync-path.js';
export {
  type ImportedMark,
  ObsoleteSnapshotError,
  type SnapshotSink,
  type SnapshotSource,
  type SnapshotView,
  type StagedSnapshot,
  StoreImport,
} from './transfer/index.js';
export {
  inspectWal,
  openWal,
  parseSegmentName,
  type Wal,
  type WalContents,
  type WalOptions,
  type WalRecord,
} from './wal/index.js';
