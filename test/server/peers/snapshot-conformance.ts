/** What every {@link PeerTransport} does with snapshots. */

import { describe, expect, it } from 'vitest';
import { EtcdError, peerFeedIdleMs, peerFeedsMax } from '../../../src/common/index.js';
import type { SnapshotFeed } from '../../../src/server/peers/types.js';
import { rejection } from './conformance.js';
import { connected, type PeerBench, type TestMember } from './fixtures.js';

/** A snapshot of `count` pieces of `bytes` each; the position is the number of the next one. */
export class TestFeed implements SnapshotFeed {
  readonly count: number;
  readonly bytes: number;
  readonly asked: number[] = [];
  closed = 0;

  constructor(count: number, bytes: number) {
    this.count = count;
    this.bytes = bytes;
  }

  async next(position: Uint8Array) {
    if (this.closed > 0) throw new Error('used after close');
    const at = position.length === 0 ? 0 : Buffer.from(position).readUInt32LE();
    this.asked.push(at);
    if (at === this.count) return undefined;
    const after = Buffer.alloc(4);
    after.writeUInt32LE(at + 1);
    return { data: Buffer.alloc(this.bytes, at), position: after };
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

const never = new AbortController().signal;

/** Member 2 fetches from member 1; writes down the first byte of each piece. */
function fetching(a: TestMember, b: TestMember, feed: TestFeed) {
  a.open = async () => feed;
  const got: number[] = [];
  const fetch = (signal = never, receive = async () => {}) =>
    b.transport.fetchSnapshot(
      a.id,
      async (piece) => {
        expect(piece.length).toBe(feed.bytes);
        got.push(piece[0] ?? -1);
        await receive();
      },
      signal,
    );
  return { got, fetch };
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

export function snapshotConformance(name: string, makeBench: () => PeerBench | Promise<PeerBench>) {
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

  describe(`snapshots between members: ${name}`, () => {
    it(
      'arrive whole and in order',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        const feed = new TestFeed(40, 20_000);
        const { got, fetch } = fetching(a, b, feed);
        await bench.wait(fetch());
        expect(got).toEqual(upTo(40));
        await bench.wait(a.transport.stop());
        expect(feed.closed).toBe(1);
      }),
    );

    it(
      'may be empty',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        const { got, fetch } = fetching(a, b, new TestFeed(0, 1));
        await bench.wait(fetch());
        expect(got).toEqual([]);
      }),
    );

    it(
      'are read no faster than they are taken',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        const feed = new TestFeed(64, 1_000_000);
        let release = (): void => {};
        const held = new Promise<void>((resolve) => {
          release = resolve;
        });
        const { got, fetch } = fetching(a, b, feed);
        const done = fetch(never, () => held);
        await bench.until(() => got.length === 1);
        await bench.pass(200);
        // What the windows and buffers of a connection hold, and no more.
        expect(feed.asked.length).toBeLessThan(20);
        expect(got).toEqual([0]);
        release();
        await bench.wait(done);
        expect(got).toEqual(upTo(64));
      }),
    );

    it(
      'that can not be opened are an error',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        a.open = async () => {
          throw new EtcdError('NO_SPACE');
        };
        const error = await rejection(
          bench,
          b.transport.fetchSnapshot(1n, async () => {}, never),
        );
        expect(error).toMatchObject({ reason: 'NO_SPACE' });
      }),
    );

    it(
      'whose source fails are an error, and closed',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        const feed = new TestFeed(9, 10);
        feed.next = async () => {
          throw new Error('disk');
        };
        const { fetch } = fetching(a, b, feed);
        expect(await rejection(bench, fetch())).toBeInstanceOf(Error);
        expect(feed.closed).toBe(1);
      }),
    );

    it(
      'whose receiver fails are given up',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        const full = new Error('disk full');
        const { got, fetch } = fetching(a, b, new TestFeed(9, 10));
        expect(
          await rejection(
            bench,
            fetch(never, () => Promise.reject(full)),
          ),
        ).toBe(full);
        expect(got).toEqual([0]);
      }),
    );

    it(
      'are given up when that is asked for, and by stop',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        const { got, fetch } = fetching(a, b, new TestFeed(9, 10));
        const control = new AbortController();
        const reason = new Error('not needed any more');
        const first = async (): Promise<void> => control.abort(reason);
        expect(await rejection(bench, fetch(control.signal, first))).toBe(reason);
        expect(got).toEqual([0]);
        const { fetch: again } = fetching(a, b, new TestFeed(9, 10));
        const stopping = rejection(
          bench,
          again(never, () => b.transport.stop()),
        );
        expect(await stopping).toMatchObject({ reason: 'STOPPED' });
      }),
    );

    it(
      'of a member without a link are an error',
      withMembers(1, async (bench, a) => {
        if (a === undefined) throw new Error('one');
        expect(
          await rejection(
            bench,
            a.transport.fetchSnapshot(7n, async () => {}, never),
          ),
        ).toBeInstanceOf(Error);
      }),
    );

    it(
      'begun anew close what the same member had before (L-22)',
      withMembers(2, async (bench, a, b) => {
        if (a === undefined || b === undefined) throw new Error('two');
        const first = new TestFeed(9, 10);
        const failing = fetching(a, b, first);
        await rejection(
          bench,
          failing.fetch(never, () => Promise.reject(new Error('no'))),
        );
        const second = fetching(a, b, new TestFeed(9, 10));
        await bench.wait(second.fetch());
        expect(second.got).toEqual(upTo(9));
        expect(first.closed).toBe(1);
      }),
    );
  });
}

/** What needs faults and time; only where both are simulated. */
export function snapshotFaults(name: string, makeBench: () => PeerBench, rereads: boolean) {
  describe(`snapshots between members, with faults: ${name}`, () => {
    it('go on where they were when the connection breaks', async () => {
      const bench = makeBench();
      const [a, b] = await connected(bench, 2);
      if (a === undefined || b === undefined) throw new Error('two');
      // More than windows and buffers hold, or all of it is here before anything breaks.
      const feed = new TestFeed(30, 1_000_000);
      const { got, fetch } = fetching(a, b, feed);
      const done = fetch(never, async () => {
        if (got.length % 7 === 3) bench.cut?.(2n);
        await bench.sleep(20);
      });
      await bench.wait(done);
      expect(got).toEqual(upTo(30));
      // What was lost on the way was asked for again; a simulated wire loses nothing here.
      expect(feed.asked.length).toBeGreaterThan(rereads ? 31 : 30);
      expect(feed.closed).toBe(0);
      await bench.pass(peerFeedIdleMs + 1000);
      expect(feed.closed).toBe(1);
      for (const { transport } of [a, b]) await bench.wait(transport.stop());
    });

    it('are not taken up again when the other side has closed them', async () => {
      const bench = makeBench();
      const [a, b] = await connected(bench, 2);
      if (a === undefined || b === undefined) throw new Error('two');
      const feed = new TestFeed(30, 1_000_000);
      const { got, fetch } = fetching(a, b, feed);
      const done = fetch(never, async () => {
        await bench.sleep(20);
        if (got.length !== 3) return;
        bench.block?.(1n, 2n);
        bench.block?.(2n, 1n);
      });
      const error = await rejection(bench, done);
      expect(error).toBeInstanceOf(Error);
      expect(got.length).toBeLessThan(30);
      await bench.pass(peerFeedIdleMs + 1000);
      expect(feed.closed).toBe(1);
      for (const { transport } of [a, b]) await bench.wait(transport.stop());
    });

    it('that nobody takes are closed after a while', async () => {
      const bench = makeBench();
      const [a, b] = await connected(bench, 2);
      if (a === undefined || b === undefined) throw new Error('two');
      const feed = new TestFeed(64, 1_000_000);
      const { fetch } = fetching(a, b, feed);
      const done = rejection(
        bench,
        fetch(never, () => bench.sleep(2 * peerFeedIdleMs)),
      );
      expect(await done).toBeInstanceOf(Error);
      expect(feed.closed).toBe(1);
      for (const { transport } of [a, b]) await bench.wait(transport.stop());
    });

    it('are handed out to a few members at a time', async () => {
      const bench = makeBench();
      const members = await connected(bench, peerFeedsMax + 2);
      const [source, ...others] = members;
      if (source === undefined) throw new Error('many');
      let release = (): void => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      source.open = async () => new TestFeed(40, 500_000);
      const running = others.slice(0, peerFeedsMax);
      let begun = 0;
      const done = running.map(({ transport }) => {
        let first = true;
        const receive = async (): Promise<void> => {
          if (first) begun++;
          first = false;
          await held;
        };
        return transport.fetchSnapshot(1n, receive, never);
      });
      await bench.until(() => begun === peerFeedsMax);
      const last = others[peerFeedsMax];
      const refused = last?.transport.fetchSnapshot(1n, async () => {}, never);
      const error = await rejection(bench, refused ?? Promise.resolve());
      expect(error).toMatchObject({ reason: 'TOO_MANY_REQUESTS' });
      release();
      await bench.wait(Promise.all(done));
      await bench.wait(
        last?.transport.fetchSnapshot(1n, async () => {}, never) ?? Promise.reject(),
      );
      for (const { transport } of members) await bench.wait(transport.stop());
    });
  });
}
