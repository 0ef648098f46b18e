/** The write-ahead log: what Raft must not forget. Start reading at wal.ts. */

export { inspectWal, type WalRecord } from './inspect.js';
export { parseSegmentName } from './segment.js';
export type { Wal, WalContents } from './types.js';
export { openWal, type WalOptions } from './wal.js';
