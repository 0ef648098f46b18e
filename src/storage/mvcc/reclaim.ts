/**
 * Gives the space of removed records back: LevelDB keeps it until it merges the tables they are in.
 */

import { type Revision, reclaimPieceBytes } from '../../common/index.js';
import { revisionKey } from '../schema/index.js';
import type { MvccState } from './state.js';

/**
 * Rewrites what is stored of the revisions up to `last`, a piece after the other: while LevelDB is
 * at one it merges nothing else, and with too many unmerged tables it accepts no writes.
 */
export async function reclaimRecords(state: MvccState, last: Revision): Promise<void> {
  const pieces = Math.max(1, Math.ceil(state.sizeBytes / reclaimPieceBytes));
  const step = Math.max(1, Math.ceil((last + 1) / pieces));
  for (let from = 0; from <= last && !state.closed; from += step) {
    const to = Math.min(from + step, last + 1);
    await state.kv.compact(revisionKey(from, 0, false), revisionKey(to, 0, false));
  }
}
