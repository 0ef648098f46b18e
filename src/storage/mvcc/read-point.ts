/** Where in history a read happens, and where in the index. */

import type { KeyString, Revision } from '../../common/index.js';
import type { ReadPoint } from './types.js';

/** The revision that a compaction may not pass while the point is being read. */
export function pinOf(at: ReadPoint): Revision {
  return at.sub === Number.POSITIVE_INFINITY ? at.main : at.main - 1;
}

/** The end of a range as the index wants it: undefined for "and above". */
export function walkEnd(key: KeyString, rangeEnd: KeyString): KeyString | undefined {
  if (rangeEnd === '') return `${key}\0`;
  return rangeEnd === '\0' ? undefined : rangeEnd;
}
