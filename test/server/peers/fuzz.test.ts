/**
 * The peer port (L-48): random bytes, damaged frames, forged introductions. Whatever arrives,
 * nothing is thrown, Raft sees no message that was not sent, it is counted, and other links go on.
 */

import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrpcCode, silentLogger } from '../../../src/common/index.js';
import { encodeMessage } from '../../../src/server/peers/codec.js';
import { encodeFeedRequest, encodePing, kindPing } from '../../../src/server/peers/link-frames.js';
import { connectGrpc, type GrpcClient, type RpcStatus } from '../../../src/transport/index.js';
import { clusterId, connected, linked, MemoryBench, TestMember } from './fixtures.js';
import { anyMessage, heartbeat } from './messages.js';

const numRuns = process.env.KVORUM_SLOW === '1' ? 3000 : 150;
const lanes = ['/kvorum.Peer/Entries', '/kvorum.Peer/Control'] as const;

let bench: MemoryBench;
let a: TestMember;
let b: TestMember;
let said = 0;

beforeAll(async () => {
  bench = new MemoryBench(1);
  const [first, second] = await connected(bench, 2);
  if (first === undefined || second === undefined) throw new Error('two');
  a = first;
  b = second;
});

afterAll(async () => {
  for (const { transport } of [a, b]) await bench.wait(transport.stop());
});

/** Members 1 and 2 still talk over the links they had, and have got nothing but that. */
async function unharmed(): Promise<void> {
  const sequence = ++said;
  b.messages.length = 0;
  a.transport.send([heartbeat(1n, 2n, sequence)]);
  await bench.until(() => b.messages.length > 0);
  expect(b.messages).toEqual([heartbeat(1n, 2n, sequence)]);
  expect([a.lost, b.lost, a.refusals, b.refusals]).toEqual([[], [], [], []]);
  expect(linked(a, [b]) && linked(b, [a])).toBe(true);
}

const b2380 = { host: '127.0.0.2', port: 2380 };

const good: Readonly<Record<string, string>> = {
  'kvorum-protocol': '1',
  'kvorum-cluster': clusterId.toString(16),
  'kvorum-from': '7',
  'kvorum-incarnation': '1',
  'kvorum-version': '0.1.0',
  'kvorum-to': '2',
};

function client(): Promise<GrpcClient> {
  const network = bench.network.host('evil');
  return bench.wait(connectGrpc({ clock: bench.clock, network, address: b2380 }));
}

/** Sends `frames` as member 7; returns how the stream ended, and what came. */
async function say(
  path: string,
  frames: readonly Uint8Array[],
  metadata: Readonly<Record<string, string>> = good,
): Promise<{ readonly status: RpcStatus | undefined; readonly got: number }> {
  const connection = await client();
  const stream = connection.stream(path, { metadata: Object.entries(metadata) });
  let status: RpcStatus | undefined;
  let got = 0;
  stream.onStatus = (ended) => {
    status = ended;
  };
  stream.onMessage = () => {
    got++;
  };
  for (const frame of frames) stream.send(Buffer.from(frame));
  await bench.pass(20);
  connection.destroy();
  await bench.pass(5);
  return { status, got };
}

const damagedCount = (from: string) => b.metrics.receivedFailures.of(from).value;

function flip(frame: Buffer, bit: number): Buffer {
  const copy = Buffer.from(frame);
  const at = bit % (copy.length * 8);
  copy[at >> 3] = (copy[at >> 3] as number) ^ (1 << (at & 7));
  return copy;
}

const lane = fc.constantFrom(...lanes);

describe('the peer port', () => {
  it('takes random bytes instead of a connection', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        const network = bench.network.host('evil');
        const stream = await bench.wait(network.connect(b2380, undefined, 1000));
        stream.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
        stream.write(Buffer.from(bytes));
        await bench.pass(5);
        stream.destroy();
        await unharmed();
      }),
      { numRuns },
    );
  });

  it('refuses random frames of a member, and counts them', async () => {
    await fc.assert(
      fc.asyncProperty(lane, fc.uint8Array({ maxLength: 200 }), async (path, bytes) => {
        const before = damagedCount('7');
        const { status, got } = await say(path, [bytes]);
        expect(status?.code).toBe(GrpcCode.DATA_LOSS);
        expect(got).toBe(1); // the welcome
        expect(damagedCount('7')).toBe(before + 1);
        await unharmed();
      }),
      { numRuns },
    );
  });

  it('refuses damaged frames, but not what came before them', async () => {
    await fc.assert(
      fc.asyncProperty(lane, anyMessage, fc.nat(), async (path, message, bit) => {
        b.messages.length = 0;
        const frame = encodeMessage(message);
        const ping = encodePing(kindPing, 1);
        const { status, got } = await say(path, [frame, ping, flip(frame, bit), frame]);
        expect(status?.code).toBe(GrpcCode.DATA_LOSS);
        expect(got).toBe(2); // welcome and pong
        expect(b.messages).toEqual([{ ...message, from: 7n, to: 2n }]);
        await unharmed();
      }),
      { numRuns },
    );
  });

  it('passes frames with a right checksum on as what they say, or refuses them', async () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(lane, anyMessage, changes, async (path, message, at) => {
        b.messages.length = 0;
        const frame = encodeMessage(message);
        for (const [i, byte] of at) frame[4 + (i % (frame.length - 4))] = byte;
        frame.writeUInt32LE(crc32(frame.subarray(4)));
        const { status } = await say(path, [frame]);
        const got = b.messages.map((taken) => encodeMessage(taken));
        // A stream that broke by our own hanging up has no status.
        if (status?.code === GrpcCode.DATA_LOSS) expect(got).toEqual([]);
        else
          expect(got.length === 0 ? frame[5] : got[0]).toEqual(got.length === 0 ? kindPing : frame);
        await unharmed();
      }),
      { numRuns },
    );
  });

  it('refuses whoever is not introduced rightly', async () => {
    const key = fc.constantFrom(...Object.keys(good));
    const value = fc.oneof(
      fc.constant(undefined),
      fc.constantFrom('', '0', '-1', 'xyz', '1'.repeat(17), '00000000000000000', '2', '1.2', '9'),
      fc.string({ minLength: 1, maxLength: 20 }).filter((text) => /^[!-~]+$/.test(text)),
    );
    await fc.assert(
      fc.asyncProperty(lane, key, value, async (path, name, text) => {
        const metadata: Record<string, string> = { ...good };
        if (text === undefined) delete metadata[name];
        else metadata[name] = text;
        fc.pre(!isFine(metadata));
        b.messages.length = 0;
        const { status, got } = await say(path, [encodeMessage(heartbeat(7n, 2n, 1))], metadata);
        expect(got).toBe(0);
        expect([GrpcCode.INVALID_ARGUMENT, GrpcCode.FAILED_PRECONDITION]).toContain(status?.code);
        expect(b.messages).toEqual([]);
        await unharmed();
      }),
      { numRuns },
    );
  });

  it('refuses requests for snapshots that are none, and never opens one for them', async () => {
    let opened = 0;
    b.open = async () => {
      opened++;
      throw new Error('no');
    };
    const request = encodeFeedRequest(0, Buffer.from('x'));
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.uint8Array({ maxLength: 60 }), async (bit, bytes) => {
        for (const body of [flip(request, bit), bytes, encodeFeedRequest(5 + bit, bytes)]) {
          const connection = await client();
          const path = '/kvorum.Peer/Snapshot';
          const stream = connection.stream(path, { metadata: Object.entries(good) });
          let code: number | undefined;
          stream.onStatus = (status) => {
            code = status.code;
          };
          stream.send(Buffer.from(body));
          stream.end();
          await bench.pass(10);
          expect([GrpcCode.INVALID_ARGUMENT, GrpcCode.NOT_FOUND]).toContain(code);
          connection.destroy();
        }
        await unharmed();
      }),
      { numRuns: numRuns / 3 },
    );
    expect(opened).toBe(0);
  });

  it('takes questions of nobody in particular, and asks no handler', async () => {
    b.calls.length = 0;
    for (const method of ['leaseRenew', 'memberChange', 'hashKv', 'nothing', '']) {
      const connection = await client();
      const done = new Promise<RpcStatus>((resolve) => {
        connection.unary(`/kvorum.Peer/call-${method}`, Buffer.alloc(9), {}, resolve);
      });
      const { code } = await bench.wait(done);
      expect([GrpcCode.INVALID_ARGUMENT, GrpcCode.UNIMPLEMENTED]).toContain(code);
      connection.destroy();
    }
    expect(b.calls).toEqual([]);
    await unharmed();
  });

  it('says so in the log, but not each time', async () => {
    const lines: string[] = [];
    const logger = { ...silentLogger, warn: (text: string) => void lines.push(text) };
    const own = new MemoryBench(9, logger);
    const [c] = await connected(own, 1);
    if (c === undefined) throw new Error('one');
    const d = await TestMember.start(own, 2n);
    c.removed.add(2n);
    d.transport.setPeers([c.address]);
    await own.pass(50_000);
    expect(d.refusals.length).toBeGreaterThan(10);
    expect(lines.filter((text) => text === 'refused a member')).toHaveLength(1);
    expect(lines.filter((text) => text.startsWith('no link to a member'))).toHaveLength(2);
    await own.pass(50_000);
    expect(lines.filter((text) => text === 'refused a member')).toHaveLength(2);
    expect(c.metrics.refused.of('removed').value).toBe(d.refusals.length);
    for (const { transport } of [c, d]) await own.wait(transport.stop());
  });

  it('keeps one stream for each lane of a member', async () => {
    const connections: GrpcClient[] = [];
    let ended = 0;
    for (let i = 0; i < 50; i++) {
      const connection = await client();
      connections.push(connection);
      const stream = connection.stream(lanes[i % 2] ?? '', { metadata: Object.entries(good) });
      stream.onStatus = ({ code }) => {
        if (code === GrpcCode.ABORTED) ended++;
      };
    }
    await bench.pass(50);
    expect(ended).toBe(48);
    for (const connection of connections.splice(0)) connection.destroy();
    await bench.pass(50);
    await unharmed();
  });
});

/** What member 2 would take for a member. */
function isFine(metadata: Readonly<Record<string, string>>): boolean {
  const id = (name: string) => /^[0-9a-f]{1,16}$/.test(metadata[name] ?? '');
  return (
    metadata['kvorum-protocol'] === '1' &&
    BigInt(id('kvorum-cluster') ? `0x${metadata['kvorum-cluster']}` : 0) === clusterId &&
    BigInt(id('kvorum-to') ? `0x${metadata['kvorum-to']}` : 0) === 2n &&
    id('kvorum-from') &&
    !/^0*$/.test(metadata['kvorum-from'] ?? '') &&
    id('kvorum-incarnation') &&
    /^\d{1,5}\.\d{1,5}\.\d{1,5}([-+][\w.+-]{1,40})?$/.test(metadata['kvorum-version'] ?? '')
  );
}
