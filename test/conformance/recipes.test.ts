/**
 * Lock and Election by raw gRPC: the same calls, one after the other, to kvorum and to etcd, and
 * the same answers, with all revisions (C-7).
 */

import { Metadata } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { asFailure, bytes, type CallOptions, RawClient } from '../helpers/grpc.js';
import type { MessageReader } from '../helpers/message-reader.js';
import { useServer } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';

interface Header {
  readonly revision: string;
  readonly raft_term: string;
}
interface LeaderAnswer {
  readonly header: Header;
  readonly kv: Readonly<Record<'key' | 'value', Buffer>> &
    Readonly<Record<'create_revision' | 'mod_revision' | 'version' | 'lease', string>>;
}
type LeaderKey = Readonly<Record<'name' | 'key', Buffer>> &
  Readonly<Record<'rev' | 'lease', string>>;

/** What is done to a server, and what it answered. */
class Script {
  readonly said: unknown[] = [];
  readonly #client: RawClient;

  constructor(client: RawClient) {
    this.#client = client;
  }

  /** A call of Lock or Election; `name` of it may be given in words. */
  begin<T>(method: string, request: object, options?: CallOptions): Promise<T> {
    const service = /lock$/i.test(method) ? 'v3lockpb.Lock' : 'v3electionpb.Election';
    const call = this.#client.unary<T>(service, method, request, options);
    // Whoever notes it looks at it later.
    call.catch(() => undefined);
    return call;
  }

  /** Notes how a call ends. */
  async note<T>(what: string, call: Promise<T>): Promise<T | undefined> {
    try {
      const answer = await call;
      this.said.push([what, plain(answer)]);
      return answer;
    } catch (error) {
      const { code, text } = asFailure(error);
      // Whether the client or the server sees first that the time is over is chance; and what
      // grpc-js says of it has times and addresses in it.
      const isOver = /^(Call cancelled|Deadline exceeded.*|context deadline exceeded)$/.test(text);
      this.said.push(isOver ? [what, 'the time was over'] : [what, code, text]);
      return undefined;
    }
  }

  ask<T>(method: string, request: object, options?: CallOptions): Promise<T | undefined> {
    return this.note(
      `${method} ${JSON.stringify(plain(request)).slice(0, 80)}`,
      this.begin(method, request, options),
    );
  }

  auth<T>(method: string, request: object): Promise<T> {
    return this.#client.unary('etcdserverpb.Auth', method, request);
  }

  async login(name: string, password: string): Promise<Metadata> {
    const { token } = await this.auth<{ token: string }>('Authenticate', { name, password });
    const metadata = new Metadata();
    metadata.set('token', token);
    return metadata;
  }

  observe(name: string, options?: CallOptions): MessageReader<LeaderAnswer> {
    const request = { name: bytes(name) };
    return this.#client.serverStream('v3electionpb.Election', 'Observe', request, options);
  }

  async grant(...ids: readonly number[]): Promise<void> {
    for (const ID of ids) await this.#client.leaseGrant({ ID, TTL: 600 });
  }

  async keys(prefix: string): Promise<string[]> {
    const range_end = bytes(`${prefix}\x7f`);
    const { kvs } = await this.#client.range({ key: bytes(prefix), range_end });
    return kvs.map(({ key }) => key.toString());
  }

  async value(key: string): Promise<string | undefined> {
    return (await this.#client.range({ key: bytes(key) })).kvs[0]?.value.toString();
  }

  /** Until these are all keys with the prefix. */
  async settled(prefix: string, ...keys: readonly string[]): Promise<void> {
    await eventually(async () => expect(await this.keys(prefix)).toEqual(keys), `keys ${keys}`);
  }

  delete(key: string) {
    return this.#client.deleteRange({ key: bytes(key) });
  }

  put(key: string, value: string) {
    return this.#client.put({ key: bytes(key), value: bytes(value) });
  }

  revoke(ID: number) {
    return this.#client.leaseRevoke({ ID });
  }
}

/** Without what differs from server to server. */
function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('latin1').slice(0, 40);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(
    ([name]) => !/cluster_id|member_id|raft_term/.test(name),
  );
  return Object.fromEntries(entries.map(([name, each]) => [name, plain(each)]));
}

const lock = (name: string, lease: number) => ({ name: bytes(name), lease });
const candidate = (name: string, lease: number, value: string) => ({
  ...lock(name, lease),
  value: bytes(value),
});

async function locks(script: Script): Promise<void> {
  await script.grant(1, 2, 42, 0x7fff);
  await script.ask('Lock', lock('m', 42));
  await script.ask('Lock', lock('m', 42));
  const second = script.begin('Lock', lock('m', 1));
  await script.settled('m/', 'm/1', 'm/2a');
  const third = script.begin('Lock', lock('m', 2));
  await script.settled('m/', 'm/1', 'm/2', 'm/2a');
  await script.ask('Lock', lock('m', 42));
  await script.put('elsewhere', 'x');
  await script.ask('Unlock', { key: bytes('m/2a') });
  await script.note('second', second);
  await script.ask('Unlock', { key: bytes('m/1') });
  await script.note('third', third);
  await script.ask('Unlock', { key: bytes('m/1') });
  await script.ask('Unlock', { key: bytes('') });
  await script.ask('Lock', lock('', 42));
  await script.ask('Lock', lock('a/b/', 42));
  await script.ask('Lock', { name: Buffer.from([0, 255, 10]), lease: 0x7fff });
  await script.ask('Lock', lock('m', -5));
  await script.ask('Lock', lock('m', 77));
  await script.ask('Lock', lock('x'.repeat(600_000), 42));
  await script.ask('Lock', lock('x'.repeat(2_200_000), 42));
}

async function lockEnds(script: Script): Promise<void> {
  await script.grant(1, 2, 3);
  await script.ask('Lock', lock('m', 1));
  await script.ask('Lock', lock('m', 2), { deadlineMs: 300 });
  await script.settled('m/', 'm/1');
  const expired = script.begin('Lock', lock('m', 2));
  await script.settled('m/', 'm/1', 'm/2');
  const behind = script.begin('Lock', lock('m', 3));
  await script.settled('m/', 'm/1', 'm/2', 'm/3');
  await script.revoke(2);
  await script.delete('m/1');
  await script.note('expired', expired);
  await script.note('behind', behind);
  await script.ask('Lock', lock('n', 3), { metadata: withLeader() });
}

async function elections(script: Script): Promise<void> {
  await script.grant(1, 2, 3);
  await script.ask('Leader', { name: bytes('e') });
  const won = await script.ask<{ leader: LeaderKey }>('Campaign', candidate('e', 1, 'one'));
  await script.ask('Campaign', candidate('e', 1, 'one'));
  await script.ask('Campaign', candidate('e', 1, 'other'));
  await script.ask('Leader', { name: bytes('e') });
  await script.ask('Proclaim', { leader: won?.leader, value: bytes('again') });
  const second = script.begin('Campaign', candidate('e', 2, 'two'));
  await script.settled('e/', 'e/1', 'e/2');
  const again = script.begin('Campaign', candidate('e', 2, 'two and more'));
  await eventually(
    async () => expect(await script.value('e/2')).toBe('two and more'),
    'the second value',
  );
  await script.ask('Leader', { name: bytes('e') });
  await script.ask('Resign', { leader: won?.leader });
  await script.note('second', second);
  await script.note('again', again);
  await script.ask('Proclaim', { leader: won?.leader, value: bytes('late') });
  await script.ask('Resign', { leader: won?.leader });
  await script.ask('Leader', { name: bytes('e') });
  await script.ask('Proclaim', { value: bytes('x') });
  await script.ask('Resign', {});
  await script.ask('Proclaim', { leader: {}, value: bytes('x') });
  await script.ask('Resign', { leader: {} });
  await script.ask('Proclaim', { leader: { key: bytes('f/9'), lease: 9 }, value: bytes('x') });
  await script.ask('Proclaim', { leader: { key: bytes('f/1'), lease: 1 }, value: bytes('x') });
  await script.ask('Leader', { name: bytes('f') });
  await script.ask('Campaign', candidate('e', 3, 'three'), { deadlineMs: 300 });
  await script.settled('e/', 'e/2');
  await script.ask('Campaign', candidate('e', 99, 'nobody'));
  await script.ask('Campaign', candidate('', 3, ''));
  await script.ask('Leader', { name: bytes('') });
}

async function observers(script: Script): Promise<void> {
  await script.grant(1, 2);
  const early = script.observe('e');
  const told = async (reader: MessageReader<LeaderAnswer>, what: string) =>
    script.said.push([what, plain(await reader.next())]);
  // So that it watches before anything happens.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const won = await script.ask<{ leader: LeaderKey }>('Campaign', candidate('e', 1, 'one'));
  await told(early, 'elected');
  await script.ask('Proclaim', { leader: won?.leader, value: bytes('again') });
  await told(early, 'proclaimed');
  const late = script.observe('e', { metadata: withLeader() });
  await told(late, 'late');
  const second = script.begin('Campaign', candidate('e', 2, 'two'));
  await script.settled('e/', 'e/1', 'e/2');
  await script.delete('e/1');
  await told(early, 'next');
  await told(late, 'next, late');
  await script.note('second', second);
  await script.revoke(2);
  await script.put('e/by-hand', 'three');
  await told(early, 'by hand');
  await told(late, 'by hand, late');
  early.cancel();
  late.cancel();
}

/** As users: what they may lock is what they may read and write below its name. */
async function users(script: Script): Promise<void> {
  await script.grant(1, 2);
  await script.auth('UserAdd', { name: 'root', password: 'r' });
  await script.auth('UserGrantRole', { user: 'root', role: 'root' });
  await script.auth('UserAdd', { name: 'u', password: 'p' });
  await script.auth('UserAdd', { name: 'writer', password: 'p' });
  for (const [role, permType] of [
    ['both', 2],
    ['write', 1],
  ] as const) {
    await script.auth('RoleAdd', { name: role });
    const perm = { permType, key: bytes('m/'), range_end: bytes('m0') };
    await script.auth('RoleGrantPermission', { name: role, perm });
  }
  await script.auth('UserGrantRole', { user: 'u', role: 'both' });
  await script.auth('UserGrantRole', { user: 'writer', role: 'write' });
  await script.auth('AuthEnable', {});
  const user = { metadata: await script.login('u', 'p') };
  const writer = { metadata: await script.login('writer', 'p') };
  const wrong = new Metadata();
  wrong.set('token', 'nonsense.1');
  for (const [who, options] of [
    ['user', user],
    ['nobody', {}],
    ['a wrong token', { metadata: wrong }],
  ] as const) {
    script.said.push(who);
    const won = await script.ask<{ leader: LeaderKey }>(
      'Campaign',
      candidate('m', 1, 'x'),
      options,
    );
    const leader = won?.leader ?? { key: bytes('m/1'), rev: 2, lease: 1 };
    await script.ask('Leader', { name: bytes('m') }, options);
    await script.ask('Proclaim', { leader, value: bytes('y') }, options);
    await script.ask('Resign', { leader }, options);
    await script.ask('Lock', lock('m', 2), options);
    await script.ask('Unlock', { key: bytes('m/2') }, options);
    for (const method of ['Lock', 'Campaign']) await script.ask(method, lock('n', 1), options);
    await script.ask('Leader', { name: bytes('n') }, options);
    await script.ask('Unlock', { key: bytes('n/1') }, options);
    await script.ask('Lock', lock('m', 0x77), options);
  }
  await script.ask('Lock', lock('m', 1), writer);
  await script.ask('Leader', { name: bytes('m') }, writer);
  await script.ask('Unlock', { key: bytes('m/1') }, writer);
}

function withLeader(): Metadata {
  const metadata = new Metadata();
  metadata.set('hasleader', 'true');
  return metadata;
}

const scripts = { locks, lockEnds, elections, observers, users };

for (const [name, run] of Object.entries(scripts)) {
  describeWith(['etcd', 'kvorum'], `recipes: ${name}`, () => {
    const etcd = useServer('etcd');
    const kvorum = useServer('kvorum');

    it('as etcd', async () => {
      const said: unknown[][] = [];
      for (const server of [etcd(), kvorum()]) {
        const client = new RawClient(server);
        const script = new Script(client);
        await run(script);
        client.close();
        said.push(script.said);
      }
      expect(said[0]?.length).toBeGreaterThan(3);
      expect(said[1]).toEqual(said[0]);
    });
  });
}
