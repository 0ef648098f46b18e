/** Watches: changes as they come, over one stream of all watches of a client. */

export { watchFromShape, watchShape } from './option-shapes.js';
export { watchState } from './state-watcher.js';
export type {
  DeleteEvent,
  InvalidEvent,
  ProgressEvent,
  PutEvent,
  SnapshotEvent,
  StateEvent,
  StateWatcher,
  WatchBatch,
  WatchEvent,
  Watcher,
  WatchFromOptions,
  WatchOptions,
  WithPrev,
} from './types.js';
export { WatchMux } from './watch-mux.js';
export { startWatch } from './watcher.js';
