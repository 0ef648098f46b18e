/** The MVCC store. Start reading at store.ts. */

export type { RevisionHash } from './compaction-hashes.js';
export type { MvccSetup } from './setup.js';
export { sortInSlices } from './sort-in-slices.js';
export { openMvccStore } from './store.js';
export type {
  AnswerRoom,
  EventPage,
  KeyState,
  MvccCommit,
  MvccEvent,
  MvccPresent,
  MvccStore,
  MvccStoreOptions,
  MvccWriteTxn,
  PointReader,
  PrepareSwitch,
  RangeQuery,
  RangeResult,
  ReadPoint,
  StoredMeta,
  VisitedKey,
} from './types.js';
