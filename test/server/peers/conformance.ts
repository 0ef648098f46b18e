/** What every {@link PeerTransport} does, on sockets or in a simulation. */

import { describe, expect, it } from 'vitest';
import { EtcdError, GrpcCode } from '../../../src/common/index.js';
import { encodeMessage } from '../../../src/server/peers/codec.js';
import { connected, linked, type PeerBench, TestMember } from './fixtures.js';
import { appendOf, heartbeat } from './messages.js';

/** Runs the suite; each test gets a bench of its own. */
export function peerConformance(name: string, makeBench: () => PeerBench | Promise<PeerBench>) {
  const withMembers = (
    count: number,
    run: (bench: PeerBench, ...members: TestMember[]) => Promise<void>,
  ) => {
    return async () => {
      const bench = await makeBench();
      const members = await connected(bench, count);
      try {
        await run(bench, ...members);
      } finally {
        for (const { transport } of members) await bench.wait(transport.stop());
      }
    };
  };

  describe(`peer transport: ${name}`, () => {
    it(
      'carries messages of all members to those they are for, in the order of their lane',
      withMembers(3, async (bench, a, b, c) => {
        if (a === undefined || b === undefined || c === undefined) throw new Error('three');
        const to = (id: bigint) => [1, 2, 3].map((n) => heartbeat(1n, id, n));
        const entries = [0, 10, 20].map((index) => appendOf(1n, 2n, index, 10, 300));
        a.transport.send([...to(2n), ...to(3n), ...entries]);
        b.transport.send([heartbeat(2n, 1n, 4)]);
        await bench.until(() => b.messages.length === 6 && c.messages.length === 3);
        await bench.until(() => a.messages.length === 1);
        expect(b.messages.filter(({ type }) => type === 'Heartbeat')).toEqual(to(2n));
        expect(b.messages.filter(({ type }) => type === 'AppendEntries')).toEqual(entries);
        expect(c.messages).toEqual(to(3n));
        expect(a.messages).toEqual([heartbeat(2n, 1n, 4)]);
        expect([a.lost, b.lost, c.lost]).toEqual([[], [], []]);
      }),
    );

    it(
      'carries messages of a megabyte',
      withMembers(2, async (bench, a, b) => {
        const big = appendOf(1n, 2n, 0, 3, 400_000);
        a?.transport.send([big, big]);
        await bench.until(() => b?.messages.length === 2);
        // As bytes: `toEqual` looks at a million of them one by one.
        const expected = encodeMessage(big);
        expect(b?.messages.map((got) => encodeMessage(got).equals(expected))).toEqual([true, true]);
      }),
    );

    it(
      'drops messages to members without a link, and says so once a turn',
      withMembers(1, async (bench, a) => {
        a?.transport.send([heartbeat(1n, 9n, 1), heartbeat(1n, 9n, 2), heartbeat(1n, 8n, 1)]);
        expect(a?.lost).toEqual([]);
        await bench.until(() => a?.lost.length === 2);
        await bench.pass(5);
        expect(a?.lost).toEqual([9n, 8n]);
      }),
    );

    it(
      'notices that a member went away, and finds it again where it comes back',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        await bench.wait(b.transport.stop());
        await bench.until(() => a.transport.connectedSinceMs(2n) === undefined);
        await bench.until(() => a.lost.includes(2n));
        await bench.until(() => a.ended.includes(2n));
        const again = await TestMember.start(bench, 2n);
        a.transport.setPeers([again.address]);
        await bench.until(() => linked(a, [again]));
        a.transport.send([heartbeat(1n, 2n, 5)]);
        await bench.until(() => again.messages.length === 1);
        await bench.wait(again.transport.stop());
      }),
    );

    it(
      'has no links to those that are no longer wanted',
      withMembers(3, async (bench, a, b, c) => {
        if (a === undefined || b === undefined || c === undefined) throw new Error('three');
        a.transport.setPeers([c.address]);
        expect(a.transport.connectedSinceMs(2n)).toBeUndefined();
        expect(a.transport.connectedSinceMs(3n)).toBeDefined();
        a.transport.send([heartbeat(1n, 2n, 1), heartbeat(1n, 3n, 1)]);
        await bench.until(() => c.messages.length === 1);
        expect(b.messages).toEqual([]);
        await bench.until(() => a.lost.includes(2n));
      }),
    );

    it(
      'passes questions on and answers back',
      withMembers(2, async (bench, a, b) => {
        const reply = await bench.wait(
          a?.transport.call(2n, 'leaseRenew', Buffer.from('q'), 5000) ?? Promise.reject(),
        );
        expect(reply.toString()).toBe('re: q');
        expect(b?.calls).toEqual([[1n, 'leaseRenew', 'q']]);
      }),
    );

    it(
      'passes errors of the other side on as what they are',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        b.answer = async () => {
          throw new EtcdError('LEASE_NOT_FOUND');
        };
        const error = await rejection(bench, a.transport.call(2n, 'leaseRenew', none, 5000));
        expect(error).toBeInstanceOf(EtcdError);
        expect(error).toMatchObject({ reason: 'LEASE_NOT_FOUND', code: GrpcCode.NOT_FOUND });
        expect(String(error)).toContain('etcdserver: requested lease not found');
        b.answer = async () => {
          throw new Error('secret');
        };
        const other = await rejection(bench, a.transport.call(2n, 'leaseRenew', none, 5000));
        expect(other).not.toBeInstanceOf(EtcdError);
        expect(String(other)).not.toContain('secret');
      }),
    );

    it(
      'gives up questions that are not answered in time',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        b.answer = () => new Promise(() => {});
        const error = await rejection(bench, a.transport.call(2n, 'hashKv', none, 50));
        expect(error).toMatchObject({ reason: 'TIMEOUT' });
      }),
    );

    it(
      'asks nobody who is no member, and says so',
      withMembers(1, async (bench, a) => {
        if (a === undefined) throw new Error('one');
        const error = await rejection(bench, a.transport.call(5n, 'hashKv', none, 500));
        expect(error).toMatchObject({ code: GrpcCode.UNAVAILABLE });
      }),
    );

    it(
      'answers those who are no member yet, but only about the cluster',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        const url = b.urls[0] ?? '';
        const reply = await bench.wait(a.transport.callUrl(url, 'cluster', Buffer.from('q'), 5000));
        expect(reply.toString()).toBe('re: q');
        expect(b.calls).toEqual([[0n, 'cluster', 'q']]);
        const error = await rejection(bench, a.transport.callUrl(url, 'memberChange', none, 5000));
        expect(error).toMatchObject({ code: GrpcCode.PERMISSION_DENIED });
        expect(b.calls).toHaveLength(1);
      }),
    );

    it(
      'rejects calls to a URL where nobody listens',
      withMembers(1, async (bench, a) => {
        if (a === undefined) throw new Error('one');
        const url = 'http://127.0.0.1:1';
        const error = await rejection(bench, a.transport.callUrl(url, 'cluster', none, 2000));
        expect(error).toMatchObject({ code: GrpcCode.UNAVAILABLE });
        expect(
          await rejection(bench, a.transport.callUrl('ftp://x', 'cluster', none, 2000)),
        ).toBeInstanceOf(Error);
      }),
    );

    it(
      'a member that lost its memory is refused, and learns why (L-32)',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        a.incarnations.set(2n, 7n);
        await bench.wait(b.transport.stop());
        const wiped = await TestMember.start(bench, 2n, 8n);
        wiped.transport.setPeers([a.address]);
        a.transport.setPeers([wiped.address]);
        await bench.until(() => wiped.refusals.length > 0);
        expect(wiped.refusals[0]).toEqual([1n, 'otherIncarnation']);
        wiped.transport.send([heartbeat(2n, 1n, 1)]);
        a.transport.send([heartbeat(1n, 2n, 1)]);
        await bench.pass(30);
        // Nor is it told anything: its vote must not be asked for either.
        expect([a.messages, wiped.messages]).toEqual([[], []]);
        expect(a.transport.connectedSinceMs(2n)).toBeUndefined();
        expect(wiped.transport.connectedSinceMs(1n)).toBeUndefined();
        await bench.wait(wiped.transport.stop());
      }),
    );

    it(
      'tells a member that was removed, though its links are up',
      withMembers(3, async (bench, a, b, c) => {
        if (a === undefined || b === undefined || c === undefined) throw new Error('three');
        a.removed.add(3n);
        a.transport.setPeers([b.address]);
        await bench.until(() => c.refusals.length > 0);
        expect(c.refusals[0]).toEqual([1n, 'removed']);
        c.transport.send([heartbeat(3n, 1n, 1), heartbeat(3n, 2n, 1)]);
        await bench.until(() => b.messages.length === 1);
        expect(a.messages).toEqual([]);
        const error = await rejection(bench, c.transport.call(1n, 'hashKv', none, 500));
        expect(error).toBeInstanceOf(Error);
        expect(a.calls).toEqual([]);
      }),
    );

    it(
      'tells who called when they call, and not again when the members change',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        await bench.until(() => b.meetings.length > 0);
        await bench.pass(30);
        const before = b.meetings.length;
        expect(new Set(b.meetings.map(({ memberId }) => memberId))).toEqual(new Set([1n]));
        for (let i = 0; i < 5; i++) b.transport.setPeers([a.address]);
        await bench.pass(30);
        expect(b.meetings.length).toBe(before);
      }),
    );

    it(
      'is quiet after stop',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        const waiting = rejection(bench, neverAnswered(a, b));
        await bench.until(() => b.calls.length === 1);
        await bench.wait(a.transport.stop());
        expect(await waiting).toBeInstanceOf(Error);
        b.transport.send([heartbeat(2n, 1n, 1)]);
        a.transport.send([heartbeat(1n, 2n, 1)]);
        await bench.pass(30);
        expect([a.messages, a.lost, b.messages]).toEqual([[], [], []]);
        expect(a.transport.connectedSinceMs(2n)).toBeUndefined();
        await bench.wait(a.transport.stop());
      }),
    );
  });
}

const none = Buffer.alloc(0);

function neverAnswered(a: TestMember, b: TestMember): Promise<Buffer> {
  b.answer = () => new Promise(() => {});
  return a.transport.call(b.id, 'hashKv', none, 60_000);
}

/** What `promise` rejects with. */
export function rejection(bench: PeerBench, promise: Promise<unknown>): Promise<unknown> {
  return bench.wait(
    promise.then(
      () => Promise.reject(new Error('it did not reject')),
      (error: unknown) => error,
    ),
  );
}
