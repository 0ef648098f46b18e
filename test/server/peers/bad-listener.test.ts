/** The other half of the peer port: what a dialer does with a listener that is none of ours. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { peerFeedIdleMs, silentLogger } from '../../../src/common/index.js';
import { decodeMessage } from '../../../src/server/peers/codec.js';
import { newFrame, sealFrame } from '../../../src/server/peers/frame.js';
import {
  decodeFeedRequest,
  encodeEnd,
  encodeOpened,
  encodePiece,
  encodeWelcome,
  kindPing,
} from '../../../src/server/peers/link-frames.js';
import { createGrpcServer, type ServerCall } from '../../../src/transport/index.js';
import { rejection } from './conformance.js';
import { clusterId, MemoryBench, TestMember } from './fixtures.js';
import { heartbeat } from './messages.js';

const numRuns = process.env.KVORUM_SLOW === '1' ? 2000 : 100;
const address = { id: 2n, peerUrls: ['http://127.0.0.2:2380'] };
const never = new AbortController().signal;

/** Member 1 and, where it thinks that member 2 is, something that answers as it likes. */
async function withListener(
  answers: { lane?: (call: ServerCall) => void; snapshot?: (r: Buffer, c: ServerCall) => void },
  run: (bench: MemoryBench, a: TestMember) => Promise<void>,
): Promise<void> {
  const bench = new MemoryBench(3);
  const lane = answers.lane ?? ((call: ServerCall) => call.end());
  const server = createGrpcServer({
    clock: bench.clock,
    network: bench.network.host('m2'),
    logger: silentLogger,
    methods: new Map([
      ['/kvorum.Peer/Entries', { kind: 'bidi', handle: lane }],
      ['/kvorum.Peer/Control', { kind: 'bidi', handle: lane }],
      [
        '/kvorum.Peer/Snapshot',
        { kind: 'serverStream', handle: answers.snapshot ?? ((_r, call) => call.end()) },
      ],
    ]),
  });
  await bench.wait(server.listen({ host: '127.0.0.2', port: 2380 }, undefined));
  const a = await TestMember.start(bench, 1n);
  a.transport.setPeers([address]);
  try {
    await run(bench, a);
  } finally {
    await bench.wait(a.transport.stop());
    await bench.wait(server.close());
  }
}

const welcome = encodeWelcome({
  clusterId,
  memberId: 2n,
  incarnation: 7n,
  version: '0.1.0',
});

describe('a listener that is none of ours', () => {
  it('is no link, whatever it says instead of a welcome', async () => {
    const frames = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc.nat().map((bit) => {
        const copy = Buffer.from(welcome);
        const at = bit % (copy.length * 8);
        copy[at >> 3] = (copy[at >> 3] as number) ^ (1 << (at & 7));
        return copy;
      }),
      fc.record({ k: fc.nat(255), body: fc.uint8Array({ maxLength: 60 }) }).map(({ k, body }) => {
        const frame = newFrame(k, 0, 8 + body.length);
        frame.set(body, 8);
        return sealFrame(frame);
      }),
      fc.constant(
        encodeWelcome({ clusterId: 9n, memberId: 2n, incarnation: 7n, version: '1.0.0' }),
      ),
      fc.constant(encodeWelcome({ clusterId, memberId: 3n, incarnation: 7n, version: '1.0.0' })),
    );
    let frame: Buffer = Buffer.alloc(0);
    let said = 0;
    const lane = (call: ServerCall): void => {
      said++;
      call.send(Buffer.from(frame));
    };
    await withListener({ lane }, async (bench, a) => {
      await fc.assert(
        fc.asyncProperty(frames, async (bytes) => {
          frame = bytes;
          a.transport.setPeers([]);
          a.transport.setPeers([address]);
          const before = said;
          await bench.until(() => said >= before + 2);
          await bench.pass(10);
          expect(a.transport.connectedSinceMs(2n)).toBeUndefined();
          a.transport.send([heartbeat(1n, 2n, 1)]);
        }),
        { numRuns },
      );
      expect([a.messages, a.refusals]).toEqual([[], []]);
      expect(a.metrics.receivedFailures.of('2').value).toBeGreaterThan(numRuns / 2);
    });
  });

  it('is left when it says something else than pongs later', async () => {
    const calls: ServerCall[] = [];
    const lane = (call: ServerCall): void => {
      calls.push(call);
      call.send(Buffer.from(welcome));
    };
    await withListener({ lane }, async (bench, a) => {
      await bench.until(() => a.transport.connectedSinceMs(2n) !== undefined);
      calls[0]?.send(Buffer.from(welcome));
      await bench.until(() => a.transport.connectedSinceMs(2n) === undefined);
      await bench.until(() => calls.length === 3 && a.lost.includes(2n));
      expect(a.metrics.receivedFailures.of('2').value).toBe(1);
    });
  });
});

describe('a listener of a version before the clocks', () => {
  it.each([
    ['older', 0],
    ['present', 1],
  ])('gets what its welcome says that it takes: %s', async (_name, flag) => {
    const own = Buffer.from(welcome);
    own[6] = flag;
    sealFrame(own);
    const frames: Buffer[] = [];
    const lane = (call: ServerCall): void => {
      call.onMessage = (frame) => {
        if (frame[5] !== kindPing) frames.push(Buffer.from(frame));
      };
      call.send(own);
    };
    await withListener({ lane }, async (bench, a) => {
      await bench.until(() => a.transport.connectedSinceMs(2n) !== undefined);
      const beat = { ...heartbeat(1n, 2n, 1), clockMs: 12_345 };
      const entries = [{ type: 'normal' as const, data: Buffer.from('x') }];
      const forward = { type: 'ForwardProposal' as const, from: 1n, to: 2n, term: 3, entries };
      a.transport.send([beat, { ...forward, clockMs: 12_345 }]);
      await bench.until(() => frames.length === 2);
      const got = frames.map((frame) => decodeMessage(frame, 1n, 2n));
      expect(new Set(got.map(({ type }) => type))).toEqual(new Set([beat.type, forward.type]));
      for (const message of got) expect('clockMs' in message).toBe(flag === 1);
    });
  });
});

const piece = (at: number) =>
  encodePiece({ data: Buffer.alloc(100, at), position: Buffer.from([at]) });

/** Sends pieces 1 to 9, each through `change`, in stream 0, 1, ... */
function snapshot(change: (frame: Buffer, at: number, stream: number) => Buffer | undefined) {
  let streams = 0;
  return (request: Buffer, call: ServerCall): void => {
    const { position } = decodeFeedRequest(request);
    const stream = streams++;
    call.send(encodeOpened(77));
    for (let at = (position[0] ?? 0) + 1; at < 10; at++) {
      const frame = change(piece(at), at, stream);
      if (frame === undefined) {
        call.end();
        return;
      }
      call.send(frame);
    }
    call.send(encodeEnd());
    call.end();
  };
}

const damaged = (frame: Buffer): Buffer => {
  frame[50] = (frame[50] as number) ^ 4;
  return frame;
};

async function fetched(bench: MemoryBench, a: TestMember): Promise<number[]> {
  const got: number[] = [];
  const receive = async (bytes: Uint8Array): Promise<void> => {
    expect(Buffer.from(bytes).equals(Buffer.alloc(100, bytes[0]))).toBe(true);
    got.push(bytes[0] ?? 0);
  };
  await bench.wait(a.transport.fetchSnapshot(2n, receive, never));
  return got;
}

const whole = [1, 2, 3, 4, 5, 6, 7, 8, 9];

describe('a snapshot that is damaged on its way', () => {
  it('is asked for again from there', async () => {
    const serve = snapshot((frame, at, stream) => (at === 2 + 3 * stream ? damaged(frame) : frame));
    await withListener({ snapshot: serve }, async (bench, a) => {
      expect(await fetched(bench, a)).toEqual(whole);
      expect(a.metrics.receivedFailures.of('2').value).toBe(3);
      expect(a.metrics.snapshotReceive.successes.of('2').value).toBe(1);
    });
  });

  it('is given up when that does not help', async () => {
    let tries = 0;
    const serve = snapshot((frame, at) => {
      if (at === 5) tries++;
      return at === 5 ? damaged(frame) : frame;
    });
    await withListener({ snapshot: serve }, async (bench, a) => {
      const got: number[] = [];
      const receive = async (bytes: Uint8Array): Promise<void> => void got.push(bytes[0] ?? 0);
      const error = await rejection(bench, a.transport.fetchSnapshot(2n, receive, never));
      expect(String(error)).toContain('checksum');
      expect(got).toEqual([1, 2, 3, 4]);
      expect(tries).toBe(5);
      expect(a.metrics.snapshotReceive.failures.of('2').value).toBe(1);
      expect(a.metrics.snapshotReceive.inflight.of('2').value).toBe(0);
    });
  });

  it('is not taken for whole when its end is missing', async () => {
    let cuts = 2;
    const serve = snapshot((frame, at) => (at === 7 && cuts-- > 0 ? undefined : frame));
    await withListener({ snapshot: serve }, async (bench, a) => {
      expect(await fetched(bench, a)).toEqual(whole);
    });
    await withListener(
      { snapshot: snapshot((f, at) => (at < 7 ? f : undefined)) },
      async (bench, a) => {
        const startMs = bench.clock.nowMs();
        const error = await rejection(
          bench,
          a.transport.fetchSnapshot(2n, async () => {}, never),
        );
        expect(String(error)).toContain('too early');
        expect(bench.clock.nowMs() - startMs).toBeGreaterThan(peerFeedIdleMs);
      },
    );
  });

  it('is an error if it is something else altogether', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 4 }),
        async (said) => {
          const serve = (_request: Buffer, call: ServerCall): void => {
            for (const bytes of said) call.send(Buffer.from(bytes));
            call.end();
          };
          await withListener({ snapshot: serve }, async (bench, a) => {
            const got = a.transport.fetchSnapshot(2n, () => Promise.reject(new Error('no')), never);
            expect(await rejection(bench, got)).not.toMatchObject({ message: 'no' });
          });
        },
      ),
      { numRuns: numRuns / 4 },
    );
  });
});
