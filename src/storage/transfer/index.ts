/** A whole state on its way out of a store or into one: between members, to and from backups. */

export { openGenerationSink, StagedState } from './sink.js';
export { openSnapshotView, type SnapshotView } from './snapshot-view.js';
export { openSnapshotSource } from './source.js';
export { type ImportedMark, StoreImport } from './store-import.js';
export {
  ObsoleteSnapshotError,
  type SnapshotSink,
  type SnapshotSource,
  type StagedSnapshot,
} from './types.js';
