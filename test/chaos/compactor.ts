/** Compacts now and then, well behind what the truth has seen, so that none of it is lost. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { SimRandom } from '../../src/sim/index.js';
import { compactRequest } from '../checkers/history.js';
import type { KvClient } from './kv-client.js';
import type { World } from './world.js';

const everyMs = 1500;
const behindMin = 500;
const behindMax = 2000;

export async function compactNowAndThen(
  world: World,
  client: KvClient,
  random: SimRandom,
): Promise<void> {
  while (!world.stopping) {
    await sleep(everyMs * (0.5 + random.float()));
    const revision = world.truth.revision - random.between(behindMin, behindMax);
    if (world.stopping || revision <= world.workload.compactedMax) continue;
    world.workload.compactedMax = revision;
    await client.call(compactRequest(revision));
  }
}
