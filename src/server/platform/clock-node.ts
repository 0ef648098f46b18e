/** The real Clock of a server. Its timers don't keep the process alive: its listeners do. */

import type { Clock } from '../../common/index.js';
import { makeNodeClock } from '../../common/node/index.js';

export const nodeClock: Clock = makeNodeClock({ keepsAlive: false });
