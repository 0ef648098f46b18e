/**
 * The server's Lock and Election services, Go's `concurrency`, etcdctl and this client in one line:
 * each waits for the one before it, whatever that is.
 */

import { afterEach, expect, it } from 'vitest';
import { election, mutex, openSession, text } from '../../../src/client/index.js';
import { eventually } from '../../helpers/eventually.js';
import { bytes, RawClient } from '../../helpers/grpc.js';
import { describeWith, toolPath } from '../../helpers/tools.js';
import { describeTargets, type TargetOfTests } from '../target.js';
import { type Child, startChild } from './child.js';

/** One that stands in line. */
interface Contender {
  /** Resolves with its key when it owns. */
  readonly owned: Promise<string>;
  release(): Promise<unknown>;
}

type Contend = (target: TargetOfTests, name: string) => Promise<Contender>;

const opened: RawClient[] = [];
afterEach(() => {
  for (const client of opened.splice(0)) client.close();
});

function raw(target: TargetOfTests): RawClient {
  const endpoint = (target.server().endpoints[0] ?? '').replace(/^http:\/\//, '');
  const client = new RawClient(endpoint);
  opened.push(client);
  return client;
}

function program(tool: 'etcdctl' | 'go-recipes', target: TargetOfTests, ...args: string[]): Child {
  const endpoint = target.server().endpoints[0] ?? '';
  const first = tool === 'etcdctl' ? ['--endpoints', endpoint] : [endpoint];
  return startChild(toolPath(tool), [...first, ...args]);
}

const long = { deadlineMs: 100_000 };

const lockers: Readonly<Record<string, Contend>> = {
  async service(target, name) {
    const client = raw(target);
    const { ID } = await client.leaseGrant({ TTL: 100 });
    const locked = client.unary<{ key: Buffer }>(
      'v3lockpb.Lock',
      'Lock',
      { name: bytes(name), lease: ID },
      long,
    );
    return {
      owned: locked.then(({ key }) => key.toString()),
      release: async () => {
        const { key } = await locked;
        return client.unary('v3lockpb.Lock', 'Unlock', { key });
      },
    };
  },
  async go(target, name) {
    const child = program('go-recipes', target, 'lock', name);
    return {
      owned: child.line(/^locked/).then((line) => line.slice('locked '.length)),
      release: () => {
        child.write('\n');
        return child.exited;
      },
    };
  },
  async etcdctl(target, name) {
    const child = program('etcdctl', target, 'lock', name);
    return { owned: child.line(/./), release: () => child.interrupt() };
  },
  async sdk(target, name) {
    const client = target.client();
    const session = await openSession(client);
    const held = mutex(client.kv, name).acquire(session);
    return { owned: held.then(({ key }) => key), release: async () => (await held).release() };
  },
};

interface LeaderKey {
  readonly name: Buffer;
  readonly key: Buffer;
  readonly rev: string;
  readonly lease: string;
}

const candidates: Readonly<Record<string, Contend>> = {
  async service(target, name) {
    const client = raw(target);
    const { ID } = await client.leaseGrant({ TTL: 100 });
    const elected = client.unary<{ leader: LeaderKey }>(
      'v3electionpb.Election',
      'Campaign',
      { name: bytes(name), lease: ID, value: bytes('service') },
      long,
    );
    const owned = elected.then(({ leader }) => leader.key.toString());
    const release = async () => {
      const { leader } = await elected;
      const value = bytes('service again');
      await client.unary('v3electionpb.Election', 'Proclaim', { leader, value });
      await client.unary('v3electionpb.Election', 'Resign', { leader });
    };
    return { owned, release };
  },
  async go(target, name) {
    const child = program('go-recipes', target, 'elect', name, 'go');
    return {
      owned: child.line(/^proclaimed/),
      release: () => {
        child.write('\n');
        return child.exited;
      },
    };
  },
  async etcdctl(target, name) {
    const child = program('etcdctl', target, 'elect', name, 'etcdctl');
    return { owned: child.line(/^etcdctl$/), release: () => child.interrupt() };
  },
  async sdk(target, name) {
    const client = target.client();
    const session = await openSession(client);
    const vote = election(client.kv.as(text), name);
    const term = vote.campaign(session, 'sdk');
    return { owned: term.then(({ key }) => key), release: async () => (await term).resign() };
  },
};

/** Every kind follows every other one. */
const order = ['service', 'go', 'service', 'etcdctl', 'go', 'sdk', 'service', 'sdk', 'etcdctl'];

/** All in line, in that order, and then released one after the other. */
async function inLine(
  target: TargetOfTests,
  name: string,
  kinds: Readonly<Record<string, Contend>>,
): Promise<string[]> {
  const client = target.client();
  const inside: string[] = [];
  const contenders: Contender[] = [];
  for (const [at, kind] of order.entries()) {
    const contend = kinds[kind];
    if (contend === undefined) throw new Error(kind);
    const contender = await contend(target, name);
    contenders.push(contender);
    void contender.owned.then(() => inside.push(kind));
    await eventually(
      async () => expect(await client.kv.count({ prefix: `${name}/` })).toBe(at + 1),
      `${kind} stands in line`,
    );
  }
  for (const [at, contender] of contenders.entries()) {
    await contender.owned;
    await new Promise((resolve) => setTimeout(resolve, 50));
    // Nobody behind it has been let in.
    expect(inside).toEqual(order.slice(0, at + 1));
    await contender.release();
  }
  return inside;
}

describeWith(['go-recipes', 'etcdctl'], 'the service, Go, etcdctl and the client', () => {
  describeTargets('recipes', {}, (target) => {
    it('exclude each other', async () => {
      expect(await inLine(target, `${target.prefix()}job`, lockers)).toEqual(order);
    });

    it('take part in one election, and see the same leaders', async () => {
      const name = `${target.prefix()}office`;
      const go = program('go-recipes', target, 'observe', name);
      const request = { name: bytes(name) };
      const observed = raw(target).serverStream<{ kv: { value: Buffer } }>(
        'v3electionpb.Election',
        'Observe',
        request,
        long,
      );
      expect(await inLine(target, name, candidates)).toEqual(order);
      const last = async (): Promise<void> => {
        for (;;) if ((await observed.next()).kv.value.toString() === 'end') return;
      };
      await target.client().kv.put(`${name}/end`, 'end');
      await Promise.all([last(), go.line(/^leader end$/)]);
      observed.cancel();
      go.write('\n');
      expect(await go.exited).toBe(0);
    });
  });
});
