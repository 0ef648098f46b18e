/** A transaction that was begun and never committed is told of, and no other one is. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { type ClientEvent, Etcd, type EtcdOptions, text } from '../../src/client/index.js';
import { startNode } from '../../src/testing/index.js';
import { eventually } from '../helpers/eventually.js';
import { exec } from '../helpers/exec.js';
import { describeWith, repoRoot } from '../helpers/tools.js';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

interface Watched extends AsyncDisposable {
  readonly client: Etcd;
  /** Stacks that were told of. */
  readonly told: readonly string[];
}

function watched(options: EtcdOptions = {}): Watched {
  const told: string[] = [];
  const onEvent = (event: ClientEvent): void => {
    if (event.type === 'forgottenCommit') told.push(event.stack);
  };
  const client = new Etcd({ endpoints: '127.0.0.1:1', ...options, onEvent });
  return { client, told, [Symbol.asyncDispose]: () => client.close() };
}

/** Not inlined into a test, whose frame would keep what it made. */
function forgetsOne({ kv }: Etcd): void {
  kv.txn().if(kv.when('a').missing()).then(kv.ops.put('a', '1'));
}

/** The process is warned, too; tests do not print it. */
async function warnings<T>(body: () => Promise<T>): Promise<readonly Error[]> {
  const seen: Error[] = [];
  const listener = (warning: Error): void => void seen.push(warning);
  process.on('warning', listener);
  try {
    await body();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('warning', listener);
  }
  return seen;
}

describe('a transaction that was never committed', () => {
  it('is told of when it is garbage', async () => {
    await using watching = watched();
    const { client, told } = watching;
    forgetsOne(client);
    await eventually(() => {
      collectGarbage();
      return told.length > 0 || undefined;
    }, 'it is told of');
    expect(told[0]).toContain('forgetsOne');
    expect(told[0]).not.toContain('KvView');
    await client.close();
    expect(told).toHaveLength(1);
  });

  it('is told of when the client is closed, and to the process', async () => {
    const { client, told } = watched();
    const kept = client.kv.txn().then(client.kv.ops.put('a', '1'));
    const seen = await warnings(() => client.close());
    expect(told).toHaveLength(1);
    expect(seen).toMatchObject([{ name: 'KvorumWarning', code: 'KVORUM_FORGOTTEN_COMMIT' }]);
    expect(kept).toBeDefined();
  });

  it('is not, if nobody wants to know', async () => {
    const { client, told } = watched({ developmentChecks: false });
    forgetsOne(client);
    await client.close();
    expect(told).toEqual([]);
  });
});

it('what is committed, or part of what is, is not told of, however late', async () => {
  await using node = await startNode();
  const { client, told } = watched({ endpoints: node.endpoint });
  const kv = client.kv.as(text);
  const inner = kv.txn().then(kv.ops.put('a', '1'));
  const outer = kv.txn().then(inner.asOp());
  collectGarbage();
  expect(await kv.exists('a')).toBe(false);
  await outer.commit();
  const { ok } = await kv.create('b', '1');
  expect(ok).toBe(true);
  collectGarbage();
  await new Promise((resolve) => setImmediate(resolve));
  await client.close();
  expect(told).toEqual([]);
});

it('awaiting it throws', async () => {
  await using watching = watched({ developmentChecks: false });
  const { kv } = watching.client;
  const builder: unknown = kv.txn().then(kv.ops.put('a', '1'));
  await expect(builder).rejects.toMatchObject({
    reason: 'INVALID_OPTION',
    message: expect.stringContaining('.commit() is missing'),
  });
});

describeWith(['kvorum'], 'a process that ends', () => {
  const run = (env: Readonly<Record<string, string>>) =>
    exec(
      process.execPath,
      [
        ...['--input-type=module', '--eval'],
        `import { Etcd } from 'kvorum/client';
         const { kv } = new Etcd('127.0.0.1:1');
         function theCaller() { kv.txn().then(kv.ops.put('a', '1')); }
         theCaller();`,
      ],
      { timeoutMs: 100_000, cwd: repoRoot, env },
    );

  it('says what it forgot', async () => {
    const done = await run({ NODE_ENV: '' });
    expect(done.code).toBe(0);
    expect(String(done.stderr)).toMatch(/KVORUM_FORGOTTEN_COMMIT.*theCaller/s);
  });

  it('in production it does not', async () => {
    expect(String((await run({ NODE_ENV: 'production' })).stderr)).toBe('');
  });
});
