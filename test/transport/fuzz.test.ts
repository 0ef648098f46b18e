/**
 * Fuzzing: random bytes and mutated sessions. Whatever arrives, nothing is thrown, no stream
 * is left once the connection is gone, and another connection is answered.
 */

import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import {
  Bench,
  data,
  frame,
  grpcMessage,
  preface,
  type RawPeer,
  requestHead,
  reset,
  settings,
  windowUpdate,
} from './support/raw-peer.js';
import { echoHttp, hanging } from './support/servers.js';

const numRuns = process.env.KVORUM_SLOW === '1' ? 5_000 : 200;
const hello = Buffer.from('hello');

beforeEach(() => {
  hanging.length = 0;
});

/** Sends `bytes` in pieces, then checks that nothing is left of it and that others are served. */
async function survives(bytes: Buffer, cuts: readonly number[]): Promise<void> {
  const bench = new Bench({ http: echoHttp }, { splitChance: 0.3 });
  const bad = await bench.connect();
  let at = 0;
  for (const cut of cuts) {
    const piece = bytes.subarray(at, at + cut);
    at += cut;
    if (piece.length > 0) bad.stream.write(piece);
    await bench.settle(2);
  }
  bad.stream.write(bytes.subarray(at));
  const good = await bench.peer();
  good.send(good.call(1, '/test.Echo/Unary', hello));
  await bench.settle(100);
  expect(good.dataOf(1)).toEqual(grpcMessage(hello));
  bad.stream.destroy();
  good.stream.destroy();
  await bench.settle(20_000);
  expect([bench.server.streamCount, bench.server.connectionCount]).toEqual([0, 0]);
}

const cuts = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 10 });

test('random bytes, with and without the preface', async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.uint8Array({ maxLength: 400 }), cuts, (h2, bytes, at) =>
      survives(Buffer.concat([h2 ? preface : Buffer.alloc(0), bytes]), at),
    ),
    { numRuns },
  );
});

test('random frames after a handshake', async () => {
  const anyFrame = fc
    .record({
      type: fc.integer({ min: 0, max: 10 }),
      flags: fc.integer({ min: 0, max: 255 }),
      id: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 0x7fff_ffff })),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        fc.constantFrom(Buffer.alloc(4), Buffer.alloc(8), Buffer.from([0x82, 0x86, 0x84])),
      ),
    })
    .map(({ type, flags, id, payload }) => frame(type, flags, id, payload));
  await fc.assert(
    fc.asyncProperty(fc.array(anyFrame, { maxLength: 30 }), cuts, (frames, at) =>
      survives(Buffer.concat([preface, settings(), ...frames]), at),
    ),
    { numRuns },
  );
});

/** A session with a bit of everything. */
async function session(): Promise<Buffer> {
  const peer = await new Bench().connect();
  const id = (i: number): number => 2 * i + 1;
  const parts: Buffer[] = [preface, settings([4, 1_000]), frame(4, 1, 0)];
  const call = (p: RawPeer, i: number, path: string): Buffer => p.call(id(i), path, hello);
  parts.push(call(peer, 0, '/test.Echo/Unary'), call(peer, 1, '/test.Echo/Hang'), reset(id(1)));
  parts.push(peer.headers(id(2), requestHead('/test.Echo/Bidi')), data(id(2), grpcMessage(hello)));
  parts.push(windowUpdate(id(2), 100), windowUpdate(0, 100), data(id(2), grpcMessage(hello), true));
  parts.push(peer.headers(id(3), requestHead('/test.Echo/Bidi', [['grpc-timeout', '5m']])));
  parts.push(frame(6, 0, 0, Buffer.alloc(8)), call(peer, 4, '/test.Echo/Count'));
  parts.push(
    peer.headers(id(5), requestHead('/test.Echo/HangStream', [['grpc-encoding', 'gzip']])),
  );
  parts.push(data(id(5), grpcMessage(hello, 1)), peer.headers(id(2), [['a', 'b']], true));
  parts.push(frame(7, 0, 0, Buffer.alloc(8)));
  return Buffer.concat(parts);
}

test('a valid session with bytes changed, removed, doubled', async () => {
  const valid = await session();
  const edit = fc.record({
    at: fc.integer({ min: 24, max: valid.length - 1 }),
    kind: fc.constantFrom('set', 'flip', 'cut', 'double'),
    value: fc.integer({ min: 0, max: 255 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), cuts, (edits, at) => {
      let bytes = Buffer.from(valid);
      for (const { at: where, kind, value } of edits) {
        const i = Math.min(where, bytes.length - 1);
        const before = bytes.subarray(0, i);
        if (kind === 'set') bytes[i] = value;
        else if (kind === 'flip') bytes[i] = (bytes[i] ?? 0) ^ (1 << (value & 7));
        else if (kind === 'cut') bytes = Buffer.concat([before, bytes.subarray(i + value)]);
        else bytes = Buffer.concat([before, bytes.subarray(i, i + value), bytes.subarray(i)]);
      }
      return survives(bytes, at);
    }),
    { numRuns },
  );
});
