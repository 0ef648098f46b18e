/** What flags do, where no part has a test of its own for it. */

import { ClassicLevel } from 'classic-level';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { healthCheckResponse, ServingStatus } from '../../src/proto/index.js';
import { allMethods } from '../../src/server/member.js';
import { flagTable } from '../../src/server/options/flags-table.js';
import { defaultConfig, UsageError } from '../../src/server/options/index.js';
import { parseUrl, type ServerUrl } from '../../src/server/options/urls.js';
import { dial } from '../../src/server/peers/peer-context.js';
import { nodeClock, nodeNetwork } from '../../src/server/platform/index.js';
import { portSharingNetwork } from '../../src/server/platform/network-node.js';
import { openLevelStore } from '../../src/storage/index.js';
import { SimMachine } from '../crash/sim-node.js';
import { ok, SimClient } from '../faults/sim.js';
import { callUnary } from '../helpers/in-process-call.js';
import { inTempDir } from '../storage/mvcc/helpers.js';
import { FakeCall } from './watch-call.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('unsafe names', () => {
  it('are for unsafe things only, which are off, and told of when they are on', () => {
    const unsafe = flagTable.filter(({ group }) => group === 'unsafe');
    expect(unsafe.map(({ name }) => name)).toEqual(['force-new-cluster', 'unsafe-no-fsync']);
    const others = flagTable.filter(({ group }) => group !== 'unsafe');
    for (const { name } of others) expect(name).not.toMatch(/unsafe|force-/);
    for (const { default: byDefault, name } of unsafe) {
      expect(byDefault).toBe('false');
      const [warning] = defaultConfig(`--${name}`).warnings;
      expect(warning).toMatch(new RegExp(`^--${name} is unsafe\\. `));
      expect(defaultConfig(`--${name}=false`).warnings).toEqual([]);
    }
  });
});

describe('--unsafe-no-fsync', () => {
  const afterPowerLoss = async (...flags: string[]): Promise<number> => {
    const client = await SimClient.start(new SimMachine(3, { loseAllUnsynced: true }), ...flags);
    for (let i = 0; i < 5; i += 1) ok(await client.put(`k${i}`, 'v'));
    const { disk } = client.machine;
    disk.crash({ unsyncedPercent: 0, tornWrites: false });
    const logs = disk.tree('/data/member/wal').map(([path]) => disk.peek(path));
    return Buffer.concat(logs).toString('latin1').split('\x0a\x02k').length - 1;
  };

  it('waits for nothing: what was acknowledged is gone with the power', async () => {
    expect(await afterPowerLoss()).toBe(5);
    expect(await afterPowerLoss('--unsafe-no-fsync')).toBe(0);
  });

  it('has LevelDB wait for nothing either', async () => {
    const asked: unknown[] = [];
    const batch = vi.spyOn(ClassicLevel.prototype, 'batch').mockImplementation((() => {
      const chained = {
        put: () => chained,
        del: () => chained,
        write: async (options: unknown) => void asked.push(options),
      };
      return chained;
    }) as never);
    await inTempDir(async (dir) => {
      for (const sync of [true, false]) {
        const kv = await openLevelStore(`${dir}/${sync}`, undefined, sync);
        await kv.write([{ key: Buffer.from('k'), value: Buffer.from('v') }], { sync: true });
        await kv.close();
      }
    });
    expect(batch).toHaveBeenCalled();
    expect(asked).toEqual([{ sync: true }, { sync: false }]);
  });
});

describe('--backend-batch-limit', () => {
  it('has data written after so many records, whatever the time', async () => {
    const written = async (...flags: string[]): Promise<boolean> => {
      const every = '--backend-batch-interval=60s';
      const client = await SimClient.start(new SimMachine(3), every, ...flags);
      const { store } = client.node.node;
      for (let i = 0; i < 12; i += 1) ok(await client.put(`k${i}`, 'v'));
      await client.pass(500);
      return store.flushed.index > 8;
    };
    expect(await written()).toBe(false);
    expect(await written('--backend-batch-limit=1000')).toBe(false);
    expect(await written('--backend-batch-limit=10')).toBe(true);
  });
});

describe('--socket-reuse-port', () => {
  it('is refused by a Node.js that can not do it, at the start', () => {
    for (const version of ['20.18.0', '22.11.9']) {
      expect(() => portSharingNetwork(version)).toThrow(UsageError);
      expect(() => portSharingNetwork(version)).toThrow(/needs Node.js 22.12 or later/);
    }
    for (const version of ['22.12.0', '23.1.0', '24.0.0']) portSharingNetwork(version);
  });

  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isThere = major > 22 || (major === 22 && minor >= 12);
  const why = isThere ? '' : ' (skipped: Node.js is older than 22.12)';
  it.skipIf(!isThere)(`lets two listen on one port${why}`, async () => {
    const network = portSharingNetwork();
    const listen = (port: number) =>
      network.listen({ host: '127.0.0.1', port }, undefined, () => {});
    const first = await listen(0);
    const { port } = first.address as { port: number };
    const second = await listen(port);
    await expect(
      nodeNetwork.listen({ host: '127.0.0.1', port }, undefined, () => {}),
    ).rejects.toThrow(/EADDRINUSE/);
    await second.close();
    await first.close();
  });
});

describe('the feature gate SetMemberLocalAddr', () => {
  const gate = '--feature-gates=SetMemberLocalAddr=true';
  const config = (...urls: string[]) =>
    defaultConfig(gate, `--initial-advertise-peer-urls=${urls.join(',')}`);

  it('takes the first advertised address in numbers that others can reach', () => {
    const urls = ['http://127.0.0.1:2380', 'http://host:2380', 'http://10.0.0.7:2380'];
    expect(config(...urls)).toMatchObject({ peerLocalAddress: '10.0.0.7', warnings: [] });
    expect(config('http://[fd00::7]:2380').peerLocalAddress).toBe('fd00::7');
    expect(defaultConfig('--initial-advertise-peer-urls=http://10.0.0.7:2380')).toMatchObject({
      peerLocalAddress: undefined,
    });
    for (const url of ['http://127.0.0.1:2380', 'http://host:2380', 'http://[::1]:2380']) {
      const { peerLocalAddress, warnings } = config(url);
      expect(peerLocalAddress).toBeUndefined();
      expect(warnings[0]).toMatch(/SetMemberLocalAddr/);
    }
  });

  it('is where calls to members come from', async () => {
    const from: string[] = [];
    const listener = await nodeNetwork.listen({ host: '127.0.0.1', port: 0 }, undefined, (one) => {
      from.push(one.remoteAddress);
      one.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
    });
    const { port } = listener.address as { port: number };
    const url = parseUrl(`http://127.0.0.1:${port}`) as ServerUrl;
    const context = { clock: nodeClock, network: nodeNetwork, electionMs: 1000, tls: undefined };
    for (const localAddress of [undefined, '127.0.0.2']) {
      const options = { ...context, localAddress } as never;
      const dialling = new AbortController();
      // Nobody greets: where it came from is all that is wanted.
      dial(options, url, 5000, 1000, 1, dialling.signal).catch(() => {});
      const before = from.length;
      await vi.waitFor(() => expect(from.length).toBe(before + 1), { timeout: 30_000 });
      dialling.abort();
    }
    expect(from.map((address) => address.replace(/:\d+$/, '')).sort()).toEqual([
      '127.0.0.1',
      '127.0.0.2',
    ]);
    await listener.close();
  });
});

describe('the feature gate StopGRPCServiceOnDefrag', () => {
  const told = async (...flags: string[]): Promise<number[]> => {
    const client = await SimClient.start(new SimMachine(3), ...flags);
    const methods = allMethods(client.node.node);
    const status = (bytes: Buffer) => healthCheckResponse.decode(bytes).status;
    const watch = methods.get('/grpc.health.v1.Health/Watch');
    if (watch?.kind !== 'serverStream') throw new Error('no stream');
    const stream = new FakeCall();
    watch.handle(Buffer.alloc(0), stream);
    const done = client.call('Maintenance/Defragment', Buffer.alloc(0));
    const check = await callUnary(methods, '/grpc.health.v1.Health/Check', Buffer.alloc(0));
    ok(await done);
    const after = await callUnary(methods, '/grpc.health.v1.Health/Check', Buffer.alloc(0));
    stream.onCancel?.();
    ok(await client.call('Maintenance/Defragment', Buffer.alloc(0)));
    return [status(ok(check)), status(ok(after)), ...stream.sent.map(status)];
  };
  const { NOT_SERVING, SERVING } = ServingStatus;

  it('has the health service say so meanwhile', async () => {
    const gate = '--feature-gates=StopGRPCServiceOnDefrag=true';
    expect(await told(gate)).toEqual([NOT_SERVING, SERVING, SERVING, NOT_SERVING, SERVING]);
    expect(await told()).toEqual([SERVING, SERVING, SERVING]);
  });
});
