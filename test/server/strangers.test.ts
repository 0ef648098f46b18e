import { expect, it } from 'vitest';
import { MemberLinks, type MemberLinksOptions } from '../../src/server/node/member-links.js';
import type { PeerAddress, PeerHello } from '../../src/server/peers/types.js';
import { SimClock } from '../../src/sim/index.js';

function setup() {
  const clock = new SimClock();
  let linked: readonly PeerAddress[] = [];
  let changes = 0;
  const callers: PeerHello[] = [];
  const members = new Map([
    [1n, { id: 1n, peerUrls: ['http://one:1'] }],
    [2n, { id: 2n, peerUrls: ['http://two:1'] }],
  ]);
  const removed = new Set<bigint>();
  let changed = (): void => {};
  const links = new MemberLinks({
    self: 1n,
    clock,
    electionMs: 1000,
    peers: {
      start: async () => {},
      setPeers: (peers: readonly PeerAddress[]) => {
        linked = peers;
        changes += 1;
        for (const caller of callers) links.admit(caller, 1n);
      },
    },
    membership: {
      get: (id: bigint) => members.get(id),
      list: () => [...members.values()],
      isRemoved: (id: bigint) => removed.has(id),
      onChange: (listener: () => void) => {
        changed = listener;
      },
    },
    admission: { admit: () => undefined },
  } as unknown as MemberLinksOptions);
  const hello = (memberId: bigint, peerUrls: readonly string[]): PeerHello => {
    return { clusterId: 9n, memberId, incarnation: 5n, version: '1.0.0', peerUrls };
  };
  const meet = async (memberId: bigint, ...urls: string[]): Promise<void> => {
    links.met(hello(memberId, urls));
    await clock.run(clock.nowMs() + 1);
  };
  const ids = (): bigint[] => linked.map(({ id }) => id);
  return {
    links,
    clock,
    members,
    removed,
    callers,
    hello,
    meet,
    ids,
    linked: () => linked,
    changed: () => changed(),
    changes: () => changes,
  };
}

it('a member that was added while this one was away can be answered at once', async () => {
  const { links, meet, ids, linked } = setup();
  await links.start();
  expect(ids()).toEqual([2n]);
  await meet(3n, 'http://three:1');
  expect(linked()).toEqual([
    { id: 2n, peerUrls: ['http://two:1'] },
    { id: 3n, peerUrls: ['http://three:1'] },
  ]);
});

it('is a member like others once it is known as one, and nobody once it was removed', async () => {
  const { links, members, removed, meet, ids, linked, changed } = setup();
  await links.start();
  await meet(3n, 'http://three:1');
  await meet(4n, 'http://four:1');
  members.set(3n, { id: 3n, peerUrls: ['http://three:2'] });
  changed();
  expect(ids().sort()).toEqual([2n, 3n, 4n]);
  expect(linked().find(({ id }) => id === 3n)?.peerUrls).toEqual(['http://three:2']);
  removed.add(4n);
  changed();
  expect(ids()).toEqual([2n, 3n]);
});

it('many that nobody has added do not add up', async () => {
  const { links, meet, ids } = setup();
  await links.start();
  for (let id = 10n; id < 100n; id++) await meet(id, `http://h${id}:1`);
  expect(ids().length).toBeLessThan(20);
});

// Found by simulation (seed 196): each change of links asked again whether a removed member that is
// still connected is admitted; the answer made a stranger of it, and so the next change.
it('one that was removed a moment ago is no stranger, however often it is asked about', async () => {
  const { links, clock, members, removed, callers, hello, meet, ids, changed, changes } = setup();
  await links.start();
  callers.push(hello(2n, ['http://two:1']), hello(7n, ['http://seven:1']));
  members.delete(2n);
  removed.add(2n);
  changed();
  const before = changes();
  await meet(2n, 'http://two:1');
  await clock.run(clock.nowMs() + 100);
  expect(changes()).toBe(before);
  expect(ids()).toEqual([2n]); // to learn of its removal
});
