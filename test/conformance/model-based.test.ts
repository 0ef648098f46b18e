/**
 * Random sequences of every KV, lease, compact and watch operation, run against the server and
 * against the model (model.ts) at once: every answer must be the same in full.
 *
 * KVORUM_MODEL_RUNS: number of sequences. KVORUM_MODEL_SEED: repeats a run; the seed of each run
 * stands in the name of the test.
 */

import fc from 'fast-check';
import { afterAll, beforeAll, it } from 'vitest';
import { RawClient } from '../helpers/grpc.js';
import { useTarget } from '../helpers/server.js';
import { targetMinor, targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';
import { Driver } from './driver.js';
import { operation } from './operations.js';

const numRuns = Number(process.env.KVORUM_MODEL_RUNS ?? 100);
const seed = Number(process.env.KVORUM_MODEL_SEED ?? Date.now() % 2 ** 31);

describeWith([targetTool], 'the server answers as the model', () => {
  const server = useTarget();
  let client: RawClient;
  let driver: Driver;
  beforeAll(async () => {
    client = new RawClient(server());
    driver = await Driver.open(client, targetMinor);
  });
  afterAll(() => client.close());

  it(`in ${numRuns} random sequences (seed ${seed})`, { timeout: 30_000 + numRuns * 1000 }, () =>
    fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 60 }), (operations) =>
        driver.run(operations),
      ),
      { numRuns, seed, interruptAfterTimeLimit: 20_000 + numRuns * 1000 },
    ),
  );
});
