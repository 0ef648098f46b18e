import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EtcdError, type MemberId } from '../../src/common/index.js';
import {
  decodeMemberChange,
  decodeMemberUpdate,
  encodeMemberChange,
  encodeMemberUpdate,
} from '../../src/server/membership/codec.js';
import {
  decodeAttributes,
  encodeAttributes,
  type Member,
  type MemberChange,
  Membership,
} from '../../src/server/membership/index.js';

/** The meta records of a store, and a transaction that writes to them at once. */
class MetaStore {
  readonly records = new Map<string, Uint8Array>();

  metaEntries(prefix: string): Array<readonly [string, Uint8Array]> {
    return [...this.records].filter(([name]) => name.startsWith(prefix));
  }
  /** As text: the same bytes may lie in different buffers. */
  hex(): string[] {
    return [...this.records].map(
      ([name, value]) => `${name} ${Buffer.from(value).toString('hex')}`,
    );
  }
  setMeta(name: string, value: Uint8Array | undefined): void {
    if (value === undefined) this.records.delete(name);
    else this.records.set(name, value);
  }
}

const founder = (id: MemberId): Member => ({
  id,
  name: `n${id}`,
  peerUrls: [`http://10.0.0.${id}:2380`],
  clientUrls: [],
  isLearner: false,
  incarnation: 0n,
});

function setup(...ids: MemberId[]) {
  const store = new MetaStore();
  const membership = new Membership();
  membership.restore(store, ids.map(founder));
  membership.storeInitial(store);
  const reasonOf = (run: () => void): string | undefined => {
    try {
      run();
      return undefined;
    } catch (error) {
      if (error instanceof EtcdError) return error.reason;
      throw error;
    }
  };
  const change = (wanted: MemberChange) => reasonOf(() => membership.applyChange(store, wanted));
  const add = (id: MemberId, isLearner = false, peerUrls = founder(id).peerUrls) =>
    change({ type: 'add', id, peerUrls, isLearner, learnersMax: 1 });
  const update = (id: MemberId, peerUrls: readonly string[]) =>
    reasonOf(() => membership.applyUpdate(store, { id, peerUrls }));
  return { store, membership, change, add, update };
}

describe('the members', () => {
  it('can be added, promoted and removed', () => {
    const { membership, change, add } = setup(1n, 2n, 3n);
    expect(add(4n, true)).toBeUndefined();
    expect(membership.get(4n)).toMatchObject({ name: '', clientUrls: [], isLearner: true });
    expect(membership.voters().map(({ id }) => id)).toEqual([1n, 2n, 3n]);
    expect(change({ type: 'promote', id: 4n })).toBeUndefined();
    expect(membership.voters().map(({ id }) => id)).toEqual([1n, 2n, 3n, 4n]);
    expect(change({ type: 'remove', id: 2n })).toBeUndefined();
    expect(membership.list().map(({ id }) => id)).toEqual([1n, 3n, 4n]);
  });

  it('are refused with the errors of etcd, in its order', () => {
    const { change, add, update } = setup(1n, 2n);
    const url1 = founder(1n).peerUrls;
    expect(add(1n)).toBe('MEMBER_EXISTS');
    expect(add(5n, true, url1)).toBe('PEER_URL_EXISTS');
    expect(add(5n, true)).toBeUndefined();
    expect(add(6n, true)).toBe('TOO_MANY_LEARNERS');
    expect(add(6n)).toBeUndefined();
    expect(change({ type: 'promote', id: 9n })).toBe('MEMBER_NOT_FOUND');
    expect(change({ type: 'promote', id: 1n })).toBe('MEMBER_NOT_LEARNER');
    expect(change({ type: 'remove', id: 9n })).toBe('MEMBER_NOT_FOUND');
    expect(update(9n, ['http://x:1'])).toBe('MEMBER_NOT_FOUND');
    expect(update(2n, url1)).toBe('PEER_URL_EXISTS');
    expect(update(1n, url1)).toBeUndefined();
  });

  it('leave ids that are never used again, not even after a restart', () => {
    const { store, membership, change, add } = setup(1n, 2n);
    expect(change({ type: 'remove', id: 2n })).toBeUndefined();
    const restarted = new Membership();
    restarted.restore(store, []);
    for (const one of [membership, restarted]) {
      expect(one.isRemoved(2n)).toBe(true);
      expect(one.removed()).toEqual([2n]);
      expect(one.list().map(({ id }) => id)).toEqual([1n]);
    }
    expect(add(2n)).toBe('MEMBER_NOT_FOUND');
    expect(change({ type: 'remove', id: 2n })).toBe('MEMBER_NOT_FOUND');
    expect(change({ type: 'promote', id: 2n })).toBe('MEMBER_NOT_FOUND');
  });

  it('are told by one who listens, also when they were replaced as a whole', () => {
    const { store, membership, add, update } = setup(1n);
    let told = 0;
    membership.onChange(() => told++);
    expect(add(2n)).toBeUndefined();
    expect(update(2n, ['http://new:1'])).toBeUndefined();
    expect(add(2n)).toBe('MEMBER_EXISTS');
    expect(told).toBe(2);
    membership.restore(store, []);
    expect(told).toBe(3);
    expect(membership.get(2n)?.peerUrls).toEqual(['http://new:1']);
  });

  it('keep the incarnation that they first published (L-32)', () => {
    const { store, membership } = setup(1n);
    const publish = (name: string, incarnation: bigint) =>
      membership.applyAttributes(store, { id: 1n, name, clientUrls: [name], incarnation });
    publish('a', 7n);
    expect(membership.get(1n)).toMatchObject({ name: 'a', incarnation: 7n });
    publish('wiped', 8n);
    expect(membership.get(1n)).toMatchObject({ name: 'a', incarnation: 7n });
    publish('old version', 0n);
    expect(membership.get(1n)).toMatchObject({ name: 'old version', incarnation: 7n });
  });

  it('are read-only by what they publish, as long as they are learners', () => {
    const { store, membership } = setup(1n);
    const attributes = { id: 2n, name: 'reader', clientUrls: ['http://c'], incarnation: 5n };
    const add: MemberChange = {
      ...{ type: 'add', id: 2n, peerUrls: ['http://p2'], isLearner: true, learnersMax: 1 },
    };
    membership.applyChange(store, add);
    membership.applyAttributes(store, attributes);
    const plain = store.hex();
    membership.applyAttributes(
      store,
      decodeAttributes(encodeAttributes({ ...attributes, isReadOnly: true })),
    );
    expect(membership.isReadOnly(2n)).toBe(true);
    const again = new Membership();
    again.restore(store, []);
    expect(again.isReadOnly(2n)).toBe(true);
    // The record of one that is none is that of a version without the flag.
    membership.applyAttributes(store, attributes);
    expect(store.hex()).toEqual(plain);
    membership.applyAttributes(store, { ...attributes, isReadOnly: true });
    membership.applyChange(store, { type: 'promote', id: 2n });
    expect(membership.isReadOnly(2n)).toBe(false);
  });

  it('are the same from any order of restarts between the changes', () => {
    const step = fc.record({
      type: fc.constantFrom('add', 'promote', 'remove' as const),
      id: fc.bigInt({ min: 1n, max: 6n }),
      isLearner: fc.boolean(),
      restart: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const a = setup(1n);
        const b = setup(1n);
        for (const { type, id, isLearner, restart } of steps) {
          const wanted: MemberChange =
            type === 'add'
              ? { type, id, peerUrls: [`http://${id % 3n}`], isLearner, learnersMax: 2 }
              : { type: type as 'promote', id };
          expect(a.change(wanted)).toBe(b.change(wanted));
          if (restart) b.membership.restore(b.store, []);
          expect(a.membership.list()).toEqual(b.membership.list());
          expect(a.membership.removed()).toEqual(b.membership.removed());
        }
        expect(a.store.hex()).toEqual(b.store.hex());
      }),
    );
  });
});

describe('what is logged about members', () => {
  const id = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
  const urls = fc.array(fc.webUrl(), { minLength: 1, maxLength: 3 });

  it('is read back as it was', () => {
    const change = fc.oneof(
      fc.record({
        type: fc.constant('add' as const),
        id,
        peerUrls: urls,
        isLearner: fc.boolean(),
        learnersMax: fc.nat(),
      }),
      fc.record({ type: fc.constantFrom('promote', 'remove'), id }),
    ) as fc.Arbitrary<MemberChange>;
    fc.assert(
      fc.property(change, id, urls, fc.string(), (wanted, member, peerUrls, name) => {
        expect(decodeMemberChange(encodeMemberChange(wanted))).toEqual(wanted);
        const update = { id: member, peerUrls };
        expect(decodeMemberUpdate(encodeMemberUpdate(update))).toEqual(update);
        const attributes = { id: member, name, clientUrls: peerUrls, incarnation: member };
        expect(decodeAttributes(encodeAttributes(attributes))).toEqual(attributes);
      }),
    );
  });
});
