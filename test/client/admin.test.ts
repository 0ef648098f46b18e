import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { mirror, text } from '../../src/client/index.js';
import { eventually } from '../helpers/eventually.js';
import { exec } from '../helpers/exec.js';
import { have, toolPath } from '../helpers/tools.js';
import { startProxy } from './proxy.js';
import { describeTargets } from './target.js';

describeTargets('maintenance', {}, (target) => {
  it('tells how a member is', async () => {
    const client = target.client();
    const { revision } = await client.kv.put('a', '1');
    const status = await client.maintenance.status();
    expect(status.version).toMatch(/^3\.\d+\.\d+$/);
    expect(status.leader).not.toBe(0n);
    expect(status.leader).toBe(status.header.memberId);
    expect(status.raftAppliedIndex).toBeGreaterThan(0);
    expect(status.errors).toEqual([]);
    expect(status.isLearner).toBe(false);
    expect(status.header.revision).toBeGreaterThanOrEqual(revision);
    const hash = await client.maintenance.hashKv();
    expect(hash.hash).toBeGreaterThan(0);
    expect((await client.maintenance.hashKv({ revision })).compactRevision).toBeLessThan(revision);
    await client.maintenance.defragment();
  });

  it('lists members', async () => {
    const client = target.client();
    const [member, ...others] = await client.cluster.members();
    expect(others).toEqual([]);
    expect(member?.clientUrls).toEqual(target.server().endpoints.map((at) => `http://${at}`));
    expect((await client.cluster.members({ serializable: true }))[0]?.id).toBe(member?.id);
    await expect(client.cluster.remove(1n)).rejects.toMatchObject({
      reason: 'MEMBER_NOT_FOUND',
      outcome: 'failed',
    });
  });

  it('shows and clears alarms', async () => {
    const client = target.client();
    expect(await client.maintenance.alarms()).toEqual([]);
    expect(await client.maintenance.disarm()).toEqual([]);
    const alarm = { memberId: 1n, alarm: 'NOSPACE' } as const;
    expect(await client.maintenance.disarm(alarm)).toEqual([]);
  });

  it('sends a snapshot with its hash, and says how far it is', async () => {
    const client = target.client();
    await client.kv.put('snapshot/big', Buffer.alloc(1_000_000, 'x'));
    const chunks: Buffer[] = [];
    const progress: number[] = [];
    const onProgress = (at: { receivedBytes: number; totalBytes: number }) => {
      progress.push(at.receivedBytes / at.totalBytes);
    };
    for await (const chunk of client.maintenance.snapshot({ onProgress })) chunks.push(chunk);
    const file = Buffer.concat(chunks);
    const body = file.subarray(0, -32);
    expect(createHash('sha256').update(body).digest()).toEqual(file.subarray(-32));
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    const dir = mkdtempSync(join(tmpdir(), 'kvorum-snapshot-'));
    try {
      writeFileSync(join(dir, 'db'), file);
      for (const program of ['etcdutl37', 'etcdctl34'] as const) {
        if (!have(program)) continue;
        const done = await exec(toolPath(program), ['snapshot', 'status', join(dir, 'db')]);
        expect(done.code, done.stderr).toBe(0);
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('a snapshot whose reader stops is ended', async () => {
    const client = target.client();
    for await (const chunk of client.maintenance.snapshot()) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(await client.kv.exists('missing')).toBe(false);
  });

  it('a snapshot that is cut off is an error, not a short file', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    await target.client().kv.put('snapshot/big', Buffer.alloc(1_000_000, 'x'));
    const client = target.client({ endpoints: proxy.endpoint });
    await client.connect();
    proxy.cutAfter('replies', 300_000);
    const read = async () => {
      for await (const chunk of client.maintenance.snapshot()) expect(chunk).toBeDefined();
    };
    await expect(read()).rejects.toMatchObject({ name: 'EtcdClientError', outcome: 'failed' });
    await proxy[Symbol.asyncDispose]();
  });
});

describeTargets('mirror', {}, (target) => {
  it('copies, follows, keeps transactions whole, and prunes', async () => {
    const client = target.client();
    const root = client.kv.namespace(target.prefix()).as(text);
    const [from, to] = [root.namespace('from/'), root.namespace('to/')];
    await to.put('stale', 'x');
    for (let i = 0; i < 5; i += 1) await from.put(`k${i}`, String(i));
    const abort = new AbortController();
    let done = 0;
    const mirroring = mirror(from, to, {
      signal: abort.signal,
      prune: true,
      txnOpsMax: 2,
      onProgress: ({ revision }) => {
        done = revision;
      },
    });
    await eventually(() => (done > 0 ? true : undefined), 'the state is copied');
    expect((await to.range({ all: true })).kvs.map(({ key }) => key)).toEqual([
      ...['k0', 'k1', 'k2', 'k3', 'k4'],
    ]);
    const txn = from.txn().then(from.ops.put('x', '1'), from.ops.delete('k0'));
    const { revision } = await txn.commit();
    await eventually(() => (done >= revision ? true : undefined), 'the change is copied');
    const [x, k0] = [await to.get('x'), await to.get('k0')];
    expect(x?.value).toBe('1');
    expect(k0).toBeUndefined();
    abort.abort();
    await mirroring;
  });
});
