/** Where kvorum's auth matrix differs from that of etcd 3.7.3, and why. */

import type { Outcome } from './outcome.js';
import type { CallerName } from './world.js';

/** Cells of one row in which kvorum differs. */
export interface MatrixDifference {
  readonly rpc: string;
  readonly form: string;
  readonly callers: readonly CallerName[];
  readonly etcd: Outcome;
  readonly kvorum: Outcome;
  readonly reason: string;
}

/** All of them; what is not listed is equal. */
export const matrixDifferences: readonly MatrixDifference[] = [];
