/** The door while auth is on: who is known, what each method requires, and what is in no table. */

import { describe, expect, it } from 'vitest';
import { requirementOf } from '../../src/server/access/index.js';
import { allMethods } from '../../src/server/member.js';
import { guarded } from '../../src/server/rpc/index.js';
import type { MethodHandler, ServerCall } from '../../src/transport/index.js';
import { SimMachine } from '../crash/sim-node.js';
import { SimClient } from '../faults/sim.js';
import { FakeAccess } from '../helpers/permissions.js';
import { FakeCall } from './watch-call.js';

/** One method of a name, and what its handler was given. */
function door(name: string, kind: MethodHandler['kind'] = 'unary') {
  const access = new FakeAccess();
  access.roots.add('root');
  const ran: Array<{ readonly caller: ServerCall['caller']; readonly request: string }> = [];
  const method: MethodHandler =
    kind === 'bidi'
      ? { kind, handle: ({ caller }) => void ran.push({ caller, request: '' }) }
      : {
          kind,
          handle: (request, { caller }) => void ran.push({ caller, request: String(request) }),
        };
  const guards = { metrics: undefined, isLearner: () => false, hasLeader: () => true, access };
  const behind = guarded([[name, method]], guards).get(name);
  const call = async (token?: string): Promise<FakeCall> => {
    const made = new FakeCall(token === undefined ? {} : { token });
    // Borrowed: it is another request's by the time that a late answer comes.
    const request = Buffer.from('asked');
    if (behind?.kind === 'bidi') behind.handle(made);
    else behind?.handle(request, made);
    request.fill('x');
    await Promise.resolve();
    await Promise.resolve();
    await Promise.resolve();
    return made;
  };
  return { access, call, ran };
}

const text = async (call: Promise<FakeCall>): Promise<string> => {
  const { ended } = await call;
  return typeof ended === 'string' ? ended : ended.text;
};

describe('the door while auth is on', () => {
  it('lets nobody pass to a method that is in no table, root neither', async () => {
    for (const kind of ['unary', 'serverStream', 'bidi'] as const) {
      const { call, ran } = door('/etcdserverpb.KV/Reveal', kind);
      expect(await text(call('root'))).toBe('etcdserver: permission denied');
      expect(await text(call())).toBe('etcdserver: permission denied');
      expect(ran).toEqual([]);
    }
  });

  it('knows a requirement of every method that a member has', async () => {
    const { node } = (await SimClient.start(new SimMachine(4))).node;
    const names = [...allMethods(node).keys()];
    expect(names.length).toBeGreaterThan(25);
    expect(names.filter((name) => requirementOf(name) === undefined)).toEqual([]);
  });

  it('asks of some methods the role root, of some a user, and of some nothing', async () => {
    const root = door('/etcdserverpb.KV/Compact');
    expect(await text(root.call())).toBe('etcdserver: user name is empty');
    expect(await text(root.call('ann'))).toBe('etcdserver: permission denied');
    expect(await text(root.call('root'))).toBe('open');
    expect(root.ran).toHaveLength(1);
    const user = door('/etcdserverpb.Cluster/MemberList');
    expect(await text(user.call())).toBe('etcdserver: user name is empty');
    expect(await text(user.call('ann'))).toBe('open');
    const open = door('/etcdserverpb.Auth/Authenticate');
    expect(await text(open.call('wrong'))).toBe('open');
    expect(open.ran[0]?.caller).toBeUndefined();
  });

  it('refuses a token that is none, and leaves who has none to the handler', async () => {
    const { call, ran } = door('/etcdserverpb.KV/Range');
    expect(await text(call('wrong'))).toBe('etcdserver: invalid auth token');
    expect(ran).toEqual([]);
    expect(await text(call())).toBe('open');
    expect(await text(call('ann'))).toBe('open');
    expect(ran.map(({ caller }) => caller?.name)).toEqual(['', 'ann']);
  });

  it('asks who opens a stream what it asks of calls, unless that depends on the messages', async () => {
    // No stream requires one of these now: what is written down has to hold all the same.
    const user = door('/etcdserverpb.Cluster/MemberList', 'bidi');
    expect(await text(user.call())).toBe('etcdserver: user name is empty');
    expect(await text(user.call('wrong'))).toBe('etcdserver: invalid auth token');
    expect(await text(user.call('late ann'))).toBe('open');
    const root = door('/etcdserverpb.KV/Compact', 'bidi');
    expect(await text(root.call('late ann'))).toBe('etcdserver: permission denied');
    expect(await text(root.call('root'))).toBe('open');
    const watch = door('/etcdserverpb.Watch/Watch', 'bidi');
    expect(await text(watch.call('wrong'))).toBe('open');
  });

  it('waits for a caller who is known later, and keeps his request till then', async () => {
    const unary = door('/etcdserverpb.KV/Range');
    expect(await text(unary.call('late ann'))).toBe('open');
    expect(unary.ran).toMatchObject([{ caller: { name: 'ann' }, request: 'asked' }]);
    expect(await text(unary.call('late wrong'))).toBe('etcdserver: invalid auth token');
    const stream = door('/etcdserverpb.Watch/Watch', 'bidi');
    const made = await stream.call('late ann');
    expect(stream.ran).toMatchObject([{ caller: { name: 'ann' } }]);
    expect(made.paused).toBe(false);
  });

  it('asks nobody who he is while auth is off', async () => {
    const { access, call, ran } = door('/etcdserverpb.KV/Compact');
    Object.assign(access, { isEnabled: false });
    expect(await text(call('wrong'))).toBe('open');
    expect(ran).toMatchObject([{ caller: undefined }]);
  });
});
