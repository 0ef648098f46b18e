/** How much memory this process may use. */

import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';

/** Of the machine, or of its container; and of JavaScript's heap (--max-old-space-size). */
export function processMemory(): { readonly bytes: number; readonly heapBytes: number } {
  const constrained = process.constrainedMemory();
  // Without a bound it is 0, or more than any machine has.
  const bytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return { bytes, heapBytes: getHeapStatistics().heap_size_limit };
}
