/** All rows of the auth matrix. What ends the tokens of all comes last. */

import type { Row } from '../row.js';
import { authRows } from './auth.js';
import { clusterRows } from './cluster.js';
import { concurrencyRows } from './concurrency.js';
import { kvRows } from './kv.js';
import { leaseRows } from './lease.js';
import { watchRows } from './watch.js';

export const rows: readonly Row[] = [
  ...kvRows,
  ...watchRows,
  ...leaseRows,
  ...concurrencyRows,
  ...clusterRows,
  ...authRows,
];
