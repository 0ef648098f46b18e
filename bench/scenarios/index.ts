/** The scenarios by name. */

import { connectionStorm } from './connection-storm.js';
import { coldStart, hotStart } from './first-seconds.js';
import { millionLeases } from './leases.js';
import { memory, tenMillionKeys } from './memory.js';
import type { Scenario } from './scenario.js';
import { slowWatcher } from './slow-watcher.js';
import { start } from './start.js';

export type { Scenario } from './scenario.js';

export const scenarios: readonly Scenario[] = [
  start,
  memory,
  hotStart,
  coldStart,
  connectionStorm,
  slowWatcher,
  millionLeases,
  tenMillionKeys,
];
