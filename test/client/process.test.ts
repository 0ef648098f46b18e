/**
 * What a whole process with a client in it does: it exits by itself, and rejects nothing that
 * nobody handles.
 */

import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { TransportName } from '../../src/client/index.js';
import { exec, type Finished } from '../helpers/exec.js';
import { describeWith, repoRoot } from '../helpers/tools.js';
import { describeTargets } from './target.js';

/**
 * Runs a program with `Etcd` of the build, by the name that users import; the body ends, the
 * process must, too.
 */
function program(
  body: string,
  env: Readonly<Record<string, string>> = {},
  timeoutMs = 100_000,
): Promise<Finished> {
  const source = `
    import { Etcd, text } from 'kvorum/client';
    process.on('unhandledRejection', (error) => {
      console.log('unhandled', error);
      process.exit(3);
    });
    ${body}
    console.log('end');
  `;
  const args = ['--input-type=module', '--eval', source];
  return exec(process.execPath, args, { timeoutMs, env, cwd: repoRoot });
}

function expectOrderly(done: Finished): void {
  expect(done.stdout.toString() + done.stderr).toBe('end\n');
  expect(done.code).toBe(0);
}

for (const transport of ['grpc-js', 'native'] as const) {
  describeWith(['kvorum'], `a process without a server, over ${transport}`, () => alone(transport));
}

function alone(transport: TransportName): void {
  it('that made a client and did nothing exits', async () => {
    expectOrderly(
      await program(`new Etcd({ endpoints: '127.0.0.1:1', transport: '${transport}' });`),
    );
  });

  it('that closes a client which was connecting to nobody exits', async () => {
    expectOrderly(
      await program(`
        const client = new Etcd({ endpoints: '127.0.0.1:1', transport: '${transport}' });
        const call = client.kv.get('a').catch((error) => error.reason);
        const watcher = client.kv.watch({ all: true });
        const next = watcher.next();
        await client.close();
        if (await call !== 'CLOSED') throw new Error('not closed');
        if (!(await next).done) throw new Error('not done');
      `),
    );
  });

  it('that closes a client in the middle of a hanging connect exits', async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expectOrderly(
      await program(`
        const client = new Etcd({
          endpoints: '127.0.0.1:${port}',
          transport: '${transport}',
          connectTimeoutMs: 600_000,
        });
        client.kv.get('a').catch(() => {});
        setTimeout(() => client.close(), 100);
        await new Promise((resolve) => client.signal.addEventListener('abort', resolve));
      `),
    );
    server.close();
  });
}

describeWith(['kvorum'], 'a process with the default transport', () => {
  it('never loads @grpc/grpc-js', async () => {
    expectOrderly(
      await program(`
        import { createRequire } from 'node:module';
        const isLoaded = () => Object.keys(createRequire(import.meta.url).cache)
          .some((path) => path.includes('grpc-js'));
        const call = async (options) => {
          const client = new Etcd({ endpoints: '127.0.0.1:1', timeoutMs: 2000, ...options });
          const call = client.kv.get('a').catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, 500));
          await client.close();
          await call;
        };
        await call({});
        if (isLoaded()) throw new Error('loaded');
        await call({ transport: 'grpc-js' });
        if (!isLoaded()) throw new Error('this test can not tell');
      `),
    );
  });
});

describeTargets('a process', { bothTransports: true }, (target) => {
  const { transport } = target;
  const env = () => ({ ENDPOINT: target.server().endpoints[0] ?? '' });

  it('that closes a client with everything running exits', async () => {
    const done = await program(
      `
        const client = new Etcd({
          endpoints: process.env.ENDPOINT,
          transport: '${transport}',
          syncIntervalMs: 50,
        });
        const kv = client.kv.namespace('/process/').as(text);
        const watcher = kv.watch({ all: true });
        await watcher.ready;
        const lease = await client.leases.create(60);
        await kv.put('a', '1', { lease });
        const state = kv.watchFrom({ all: true });
        await state.next();
        const pending = state.next();
        void kv.stm(async (tx) => { await tx.get('a'); tx.put('b', '2'); }).catch(() => {});
        await client.close();
        await pending;
      `,
      env(),
    );
    expectOrderly(done);
  });

  it('that does not close a client with nothing running exits, too', async () => {
    expectOrderly(
      await program(
        `
          const client = new Etcd({ endpoints: process.env.ENDPOINT, transport: '${transport}' });
          await client.kv.get('a');
          const watcher = client.kv.watch({ all: true });
          await watcher.ready;
          await watcher.close();
        `,
        env(),
      ),
    );
  });

  it('is not warned of a leak when much hangs on one signal', async () => {
    const done = await program(
      `
        const client = new Etcd({ endpoints: process.env.ENDPOINT, transport: '${transport}' });
        const kv = client.kv.namespace('/process/').as(text);
        const stop = new AbortController();
        const { signal } = stop;
        const many = (make) => Promise.all(Array.from({ length: 20 }, make));
        await many(() => kv.get('a', { signal }));
        const leases = await many(() => client.leases.create(60, { signal }));
        await many((_, i) => leases[i].renew({ signal }));
        const watchers = await many(async () => {
          const watcher = kv.watch({ key: 'a' }, { signal });
          await watcher.ready;
          return watcher;
        });
        const states = await many(async () => {
          const state = kv.watchFrom({ all: true }, { signal });
          await state.next();
          return state;
        });
        stop.abort();
        await many((_, i) => states[i].next());
        const ended = await many((_, i) => watchers[i].next());
        if (!ended.every(({ done }) => done)) throw new Error('a watcher goes on');
        if (!leases.every(({ state }) => state === 'stopped')) throw new Error('a lease goes on');
        await client.close();
      `,
      env(),
    );
    expectOrderly(done);
  });

  it('has no rejection that nobody handles, whatever is given up', async () => {
    const done = await program(
      `
        const client = new Etcd({ endpoints: process.env.ENDPOINT, transport: '${transport}' });
        const kv = client.kv.namespace('/process/').as(text);
        kv.watch({ all: true }, { fromRevision: 1 });
        for (let i = 0; i < 20; i += 1) {
          const watcher = kv.watch({ key: 'k' + i });
          if (i % 2 === 0) void watcher.close();
        }
        const aborted = kv.watch({ all: true }, { signal: AbortSignal.abort() });
        const lease = await client.leases.create(60);
        lease.renew().catch(() => {});
        const calls = Array.from({ length: 20 }, () => kv.get('a').catch(() => {}));
        await client.close();
        await Promise.all(calls);
        await new Promise((resolve) => setTimeout(resolve, 300));
      `,
      env(),
    );
    expectOrderly(done);
  });
});

describe('the programs of this file', () => {
  it('do fail when something is left open', async () => {
    await expect(program('setInterval(() => {}, 1000);', {}, 2000)).rejects.toThrow(/took over/);
  });
});
