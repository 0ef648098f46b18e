export { BboltImage, type ImageEntry } from './bbolt-image.js';
export { openLevelStore } from './kv-level.js';
export { type MvccSetup, noConfiguration } from './mvcc-state.js';
export { openMvccStore } from './mvcc-store.js';
export {
  decodeRecord,
  encodeRecord,
  type KeyValueFields,
  recordValue,
} from './record.js';
export type { SnapshotView } from './snapshot-view.js';
export * from './types.js';
export { openWal, type WalOptions } from './wal.js';
export { inspectWal, type WalRecord } from './wal-inspect.js';
