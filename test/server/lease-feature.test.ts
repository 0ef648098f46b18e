import { expect, it } from 'vitest';
import { runSteps, Slice } from '../../src/common/index.js';
import type { Host } from '../../src/server/feature/index.js';
import { encodeLeaseRecord, leaseFeature, leaseMetaName } from '../../src/server/lease/index.js';
import { Metrics } from '../../src/server/metrics/index.js';
import { defaultConfig } from '../../src/server/options/index.js';
import { SimClock } from '../../src/sim/index.js';
import { atOnce } from '../helpers/lessor.js';

it('a lease has the keys of the state that was installed, not of the one before', () => {
  const lease = encodeLeaseRecord({ id: 5n, ttlSeconds: 60, remainingTtlSeconds: 0 });
  /** A store of one lease; what it holds at present changes when a snapshot is installed. */
  const store = {
    present: { keysOf: () => ['before'] },
    metaEntries: () => [[leaseMetaName(5n), lease] as const],
    leasedKeys: () => [],
  };
  const host = {
    clock: new SimClock(),
    config: defaultConfig(),
    metrics: new Metrics(),
    store,
    requestTimeoutMs: 7000,
    leadership: {},
    leaderQuestions: {},
    raft: {},
  } as unknown as Host;
  const feature = leaseFeature(host);
  const restore = (): void => {
    const steps = feature.restore?.(store, new Slice(host.clock));
    if (steps === undefined) throw new Error('leases are stored');
    atOnce(steps)();
  };
  restore();
  expect(runSteps(feature.lessor.keysOf(5n))).toEqual(['before']);
  store.present = { keysOf: () => ['installed', 'too'] };
  restore();
  expect(runSteps(feature.lessor.keysOf(5n))).toEqual(['installed', 'too']);
});
