/**
 * How a start gets the index back: from all records, or from a checkpoint and the journal since
 * then, and how those are written. Start reading at restore.ts.
 */

export { Checkpointer } from './checkpointer.js';
export { JournalWriter, journalKey } from './journal.js';
export { type Restored, restore } from './restore.js';
