/** Downgrades (C-6.12): what the RPC takes, what members answer meanwhile, and how they end. */

import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import {
  DowngradeAction,
  downgradeRequest,
  downgradeResponse,
  statusResponse,
} from '../../src/proto/index.js';
import { writeSnapshotImage } from '../../src/server/backup/image.js';
import { restoreSnapshot } from '../../src/server/backup/restore-snapshot.js';
import {
  Downgrade,
  type DowngradeState,
  type DowngradeStep,
} from '../../src/server/cluster/downgrade.js';
import { DowngradeWatch } from '../../src/server/cluster/downgrade-watch.js';
import { majorMinorOf, oneMinorBelow } from '../../src/server/cluster/version-text.js';
import { defaultConfig } from '../../src/server/options/index.js';
import { SimClock } from '../../src/sim/index.js';
import { SimMachine } from '../crash/sim-node.js';
import { ok, SimClient } from '../faults/sim.js';

const { VALIDATE, ENABLE, CANCEL } = DowngradeAction;

async function downgrade(client: SimClient, action: number, version = ''): Promise<string> {
  const request = downgradeRequest.encode({ action, version });
  const outcome = await client.call('Maintenance/Downgrade', request);
  if (!outcome.ok) return `${outcome.code} ${outcome.text}`;
  const { header, version: cluster } = downgradeResponse.decode(outcome.message);
  expect(header?.revision).toBe(1);
  return cluster;
}

async function told(client: SimClient) {
  const status = statusResponse.decode(
    ok(await client.call('Maintenance/Status', Buffer.alloc(0))),
  );
  const { downgradeInfo, storageVersion, version } = status;
  return { downgradeInfo, storageVersion, version, ...client.node.node.versions };
}

const badFormat = '3 etcdserver: wrong downgrade target version format';
const badTarget = '3 etcdserver: invalid downgrade target version';
const inProgress = '9 etcdserver: cluster has a downgrade job in progress';
const off = { enabled: false, targetVersion: '' };
const on = { enabled: true, targetVersion: '3.6.0' };

describe('versions as texts', () => {
  // What etcd's library of semantic versions makes of the same texts.
  it.each(['3.6', '3.6.0', '3.6.1', '3.06', '3.6.0-rc1', '3.6.0+b', '3.6.0-a.b+c-d', '3.6.0-'])(
    'takes %s',
    (text) => expect(majorMinorOf(text)).toBe('3.6.0'),
  );

  it.each([
    ...[
      '',
      'x',
      '3',
      '3.',
      '.6',
      '3.6.',
      '3.6.0.0',
      'v3.6',
      '3.6 ',
      ' 3.6',
      '3.-6',
      '+3.6',
      '3.6-a',
    ],
    ...[
      '3.6+b',
      '3.6.0-a_b',
      '3.6.0-a..b',
      '3.6.0-é',
      '3.6\n',
      '99999999999999999999.1',
      '3.6.9e9',
    ],
  ])('refuses %j', (text) => expect(majorMinorOf(text)).toBeUndefined());

  it('knows the minor version below', () => {
    expect(oneMinorBelow('3.7.0')).toBe('3.6.0');
    expect(oneMinorBelow('4.0.0')).toBeUndefined();
  });

  it('is quick about long texts', () => {
    for (const text of ['9'.repeat(1e6), `3.6.0-${'a.'.repeat(5e5)}`, `${'0'.repeat(1e6)}3.6`]) {
      expect(['3.6.0', undefined]).toContain(majorMinorOf(text));
    }
  });
});

describe('Downgrade of a member', () => {
  it('answers as etcd does, on and off', async () => {
    const client = await SimClient.start(new SimMachine(4));
    expect(await told(client)).toMatchObject({ downgradeInfo: off, storageVersion: '3.7.0' });
    for (const version of ['3.6', '3.6.0', '3.6.4']) {
      expect(await downgrade(client, VALIDATE, version)).toBe('3.7');
    }
    for (const version of ['3.5', '3.7', '3.8', '2.9', '4.6']) {
      expect(await downgrade(client, VALIDATE, version)).toBe(badTarget);
      expect(await downgrade(client, ENABLE, version)).toBe(badTarget);
    }
    expect(await downgrade(client, ENABLE, 'x')).toBe(badFormat);
    expect(await downgrade(client, CANCEL, 'x')).toBe('3.7');
    expect(await downgrade(client, 7, '3.6')).toBe('2 etcdserver: unknown method');
    expect(await told(client)).toMatchObject({ downgradeInfo: off });

    expect(await downgrade(client, ENABLE, '3.6.2')).toBe('3.7');
    expect(await told(client)).toMatchObject({ downgradeInfo: on, cluster: '3.7.0' });
    expect(await downgrade(client, VALIDATE, '3.6')).toBe(inProgress);
    expect(await downgrade(client, ENABLE, '3.6')).toBe(inProgress);
    expect(await downgrade(client, VALIDATE, '3.5')).toBe(badTarget);

    await client.pass(9000);
    const lowered = { downgradeInfo: on, cluster: '3.6.0', storageVersion: '3.6.0' };
    expect(await told(client)).toMatchObject({ ...lowered, version: '3.7.3' });
    expect(await downgrade(client, VALIDATE, '3.6')).toBe(badTarget);
    expect(await downgrade(client, VALIDATE, '3.5')).toBe(inProgress);
    expect(await downgrade(client, CANCEL)).toBe('3.6');
    expect(await told(client)).toMatchObject({ downgradeInfo: off, cluster: '3.6.0' });
    await client.pass(9000);
    const raised = { downgradeInfo: off, cluster: '3.7.0', storageVersion: '3.7.0' };
    expect(await told(client)).toMatchObject(raised);
  });

  it('is there after power loss, and in the log of a member that restarts', async () => {
    let client = await SimClient.start(new SimMachine(5));
    await downgrade(client, ENABLE, '3.6');
    client = await client.restart();
    expect(await told(client)).toMatchObject({ downgradeInfo: on });
    await client.pass(9000);
    client = await client.restart();
    expect(await told(client)).toMatchObject({ downgradeInfo: on, cluster: '3.6.0' });
    expect(await downgrade(client, CANCEL)).toBe('3.6');
    client = await client.restart();
    expect(await told(client)).toMatchObject({ downgradeInfo: off, cluster: '3.6.0' });
    await client.pass(9000);
    client = await client.restart();
    expect(await told(client)).toMatchObject({ downgradeInfo: off, cluster: '3.7.0' });
  });

  it('is in a snapshot in the form of etcd, and on again in what is restored from it', async () => {
    const { machine, node } = await lowered();
    const { clock, disk, kvDisk, random } = machine;
    const view = await clock.runUntil(node.node.store.snapshotView());
    await clock.runUntil(writeSnapshotImage(disk, '/s.db', view, () => {}));
    const image = disk.peek('/s.db').toString('latin1');
    expect(image).toContain('downgrade{"target-version":"3.6.0","enabled":true}');
    expect(image).toContain('clusterVersion3.6.0');
    const target = new SimMachine(7);
    target.disk.plant('/s.db', disk.peek('/s.db'));
    const ports = {
      ...{ clock: target.clock, disk: target.disk, random, logger: silentLogger },
      openKvStore: target.kvDisk.open,
    };
    expect(kvDisk).toBeDefined();
    await target.clock.runUntil(
      restoreSnapshot({
        ...{ snapshotPath: '/s.db', skipHashCheck: true, bumpRevision: 0, ports },
        config: defaultConfig('--data-dir', '/data'),
      }),
    );
    const restored = await SimClient.start(target);
    expect(await told(restored)).toMatchObject({ downgradeInfo: on, cluster: '3.6.0' });
  });
});

async function lowered(): Promise<SimClient> {
  const client = await SimClient.start(new SimMachine(6));
  await downgrade(client, ENABLE, '3.6');
  await client.pass(9000);
  return client;
}

describe('the state of a downgrade', () => {
  const txn = { setMeta(): void {} };
  const enable: DowngradeStep = { type: 'enable', targetVersion: '3.6.0' };

  it('takes the first of two at once, and ignores what comes too late', () => {
    const state = new Downgrade();
    state.apply(txn, { type: 'lower', targetVersion: '3.6.0' });
    state.apply(txn, { type: 'cancel', targetVersion: '' });
    expect(state.state).toEqual({});
    state.apply(txn, enable);
    expect(() => state.apply(txn, { type: 'enable', targetVersion: '3.5.0' })).toThrow(
      /in progress/,
    );
    state.apply(txn, { type: 'lower', targetVersion: '3.5.0' });
    state.apply(txn, { type: 'raise', targetVersion: '' });
    expect(state.state.clusterVersion).toBeUndefined();
    state.apply(txn, { type: 'lower', targetVersion: '3.6.0' });
    state.apply(txn, { type: 'raise', targetVersion: '' });
    expect(state.state).toEqual({ targetVersion: '3.6.0', clusterVersion: '3.6.0' });
    state.apply(txn, { type: 'cancel', targetVersion: '' });
    state.apply(txn, { type: 'lower', targetVersion: '3.6.0' });
    expect(state.state).toEqual({ clusterVersion: '3.6.0' });
    state.apply(txn, { type: 'raise', targetVersion: '' });
    expect(state.state).toEqual({});
  });
});

describe('the leader of a cluster with a downgrade', () => {
  const world = (checkMs: number) => {
    const clock = new SimClock();
    const downgrade: { state: DowngradeState } = { state: {} };
    const steps: DowngradeStep[] = [];
    const members: { versions: readonly string[] | undefined } = { versions: undefined };
    const watch = new DowngradeWatch({
      ...{ clock, logger: silentLogger, downgrade, checkMs },
      versions: async () => members.versions,
      propose: (step) => void steps.push(step),
    });
    const pass = (ms: number) => clock.run(clock.nowMs() + ms);
    return { downgrade, members, pass, steps, watch };
  };
  const targetVersion = '3.6.0';

  it('lowers the cluster version once it knows that all members are of the version above', async () => {
    const { downgrade, members, pass, steps, watch } = world(0);
    watch.start();
    members.versions = ['3.7.3', '3.7.0'];
    await pass(20_000);
    downgrade.state = { targetVersion };
    members.versions = undefined;
    await pass(20_000);
    members.versions = ['3.7.3', '3.5.1'];
    await pass(20_000);
    expect(steps).toEqual([]);
    members.versions = ['3.7.3', '3.8.0'];
    await pass(5000);
    expect(steps).toEqual([{ type: 'lower', targetVersion: '3.6.0' }]);
    watch.stop();
    await pass(20_000);
    expect(steps).toHaveLength(1);
  });

  it('lets it be what members make it, once that is known and none is on', async () => {
    const { downgrade, members, pass, steps, watch } = world(0);
    watch.start();
    downgrade.state = { clusterVersion: targetVersion };
    await pass(9000);
    expect(steps).toEqual([]);
    members.versions = ['3.7.3'];
    await pass(5000);
    expect(steps).toEqual([{ type: 'raise', targetVersion: '' }]);
  });

  it('ends it when all members are of the target version, if it looks at all', async () => {
    for (const checkMs of [0, 5000]) {
      const { downgrade, members, pass, steps, watch } = world(checkMs);
      downgrade.state = { targetVersion, clusterVersion: targetVersion };
      watch.start();
      for (const versions of [undefined, ['3.6.9', '3.7.3'], ['3.6.9', '3.5.0']]) {
        members.versions = versions;
        await pass(11_000);
        expect(steps).toEqual([]);
      }
      members.versions = ['3.6.9', '3.6.0'];
      await pass(6000);
      const ended = [{ type: 'cancel', targetVersion: '' }];
      expect(steps).toEqual(checkMs === 0 ? [] : ended);
    }
  });
});
