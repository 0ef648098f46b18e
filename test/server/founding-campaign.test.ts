/** The first election of a new cluster does not wait for an election timeout. */

import { describe, expect, it } from 'vitest';
import { campaignWhenConnected } from '../../src/server/node/lifecycle.js';
import { SimClock } from '../../src/sim/index.js';

function founder() {
  const clock = new SimClock();
  const raft = { leader: 0n, term: 0, campaigns: 0 };
  const connected = new Set<bigint>();
  const node = {
    config: { heartbeatMs: 100 },
    loop: { isStopped: false, schedule() {} },
    raft: Object.assign(raft, {
      campaign() {
        raft.campaigns += 1;
      },
    }),
    ports: {
      clock,
      peers: { connectedSinceMs: (id: bigint) => (connected.has(id) ? 0 : undefined) },
    },
  };
  return { clock, raft, connected, node };
}

describe('the founder that begins', () => {
  it('campaigns once it is connected to enough of the others, and again if votes were lost', async () => {
    const { clock, raft, connected, node } = founder();
    campaignWhenConnected(node as never, [1n, 2n, 3n]);
    await clock.run(1_000);
    expect(raft.campaigns).toBe(0);
    connected.add(2n);
    await clock.run(1_010);
    expect(raft.campaigns).toBe(1);
    await clock.run(1_600);
    expect(raft.campaigns).toBe(2);
    raft.leader = 2n;
    await clock.run(5_000);
    expect(raft.campaigns).toBe(2);
  });

  it('leaves it to the others once a term has begun, or it stops', async () => {
    for (const over of ['term', 'stop']) {
      const { clock, raft, connected, node } = founder();
      connected.add(2n);
      campaignWhenConnected(node as never, [1n, 2n, 3n]);
      if (over === 'term') raft.term = 2;
      else node.loop.isStopped = true;
      await clock.run(5_000);
      expect(raft.campaigns).toBe(1);
    }
  });
});
