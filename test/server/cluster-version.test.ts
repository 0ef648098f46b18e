import { describe, expect, it } from 'vitest';
import { type MemberId, silentLogger } from '../../src/common/index.js';
import { ClusterVersion } from '../../src/server/cluster/cluster-version.js';
import { lowestVersion } from '../../src/server/cluster/version-text.js';
import { encodeClusterAnswer } from '../../src/server/membership/cluster-answer.js';
import { Membership } from '../../src/server/membership/membership.js';
import { SimClock } from '../../src/sim/index.js';

const nowhere = { setMeta(): void {} };

describe('the cluster version', () => {
  it('is the lowest major and minor', () => {
    expect(lowestVersion(['3.7.3'])).toBe('3.7.0');
    expect(lowestVersion(['3.7.3', '3.10.0', '3.6.9'])).toBe('3.6.0');
    expect(lowestVersion(['4.0.0', '3.20.3'])).toBe('3.20.0');
  });

  it('follows the members, as far as they answer', async () => {
    const clock = new SimClock();
    const membership = new Membership();
    const members = [1n, 2n, 3n].map((id) => {
      const peerUrls = [`http://${id}`];
      return { id, name: 'n', peerUrls, clientUrls: [], isLearner: false, incarnation: 0n };
    });
    membership.restore({ metaEntries: () => [] }, members);
    const versions = new Map<MemberId, string>([[2n, '3.6.2']]);
    const call = async (memberId: MemberId) => {
      const etcdVersion = versions.get(memberId);
      if (etcdVersion === undefined) throw new Error('no link');
      const rest = { clusterId: 1n, members: [], removed: [], version: '0.1.0' };
      return encodeClusterAnswer({ ...rest, memberId, etcdVersion });
    };
    const logger = silentLogger;
    const options = { self: 1n, etcdVersion: '3.7.3', clock, logger, membership };
    const downgrade: { state: { clusterVersion?: string } } = { state: {} };
    const cluster = new ClusterVersion({ ...options, downgrade, peers: { call } });
    expect(cluster.version).toBe('3.7.0');
    cluster.start();
    await clock.run(1000);
    expect(cluster.version).toBe('3.6.0');
    versions.set(3n, '3.5.0');
    await clock.run(40_000);
    expect(cluster.version).toBe('3.5.0');
    membership.applyChange(nowhere, { type: 'remove', id: 3n });
    expect(cluster.version).toBe('3.6.0');
    downgrade.state = { clusterVersion: '3.4.0' };
    expect(cluster.version).toBe('3.4.0');
    expect(await clock.runUntil(cluster.ask())).toEqual(['3.7.3', '3.6.2']);
    versions.clear();
    expect(await clock.runUntil(cluster.ask())).toBeUndefined();
    cluster.stop();
  });
});
