import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Entry } from '../../../src/raft/index.js';
import {
  decodeConfiguration,
  encodeConfiguration,
} from '../../../src/storage/wal/configuration.js';
import {
  align8,
  entryItemBytes,
  FrameEncoder,
  findFrame,
  magicBaseFrom,
  magicOf,
  readFrame,
  readItems,
  type WalItem,
} from '../../../src/storage/wal/format.js';
import {
  frameEnd,
  frameHeaderBytes,
  frameStart,
  sectorBytes,
} from '../../../src/storage/wal/sector.js';
import { entry, snapshot } from './harness.js';

const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const number = fc.nat(Number.MAX_SAFE_INTEGER);
const entries = fc.array(
  fc.record({
    index: number,
    term: number,
    type: fc.constantFrom('normal' as const, 'configChange' as const, 'noop' as const),
    data: fc.uint8Array({ maxLength: 700, size: 'max' }),
  }),
  { minLength: 1 },
);

/** Where frames begin: at multiples of 8, and so that their headers stay in one sector. */
const place = fc.nat(200).map((words) => frameStart(8 * words));

function itemsOf(payload: Buffer): WalItem[] | undefined {
  const items: WalItem[] = [];
  return readItems(payload, (item) => items.push(item)) ? items : undefined;
}

describe('a frame', () => {
  test('gives back what was put in', () => {
    const encoder = new FrameEncoder();
    const state = fc.record({ term: number, vote: id, commit: number });
    fc.assert(
      fc.property(
        entries,
        state,
        fc.nat(0xffff_ffff),
        place,
        (list, hardState, previousCrc, at) => {
          encoder.begin(at);
          let length = frameHeaderBytes;
          for (const one of list) {
            encoder.entry(one);
            length += entryItemBytes(one.data.length);
          }
          expect(encoder.length).toBe(length);
          encoder.hardState(hardState);
          const payloadBytes = encoder.length - frameHeaderBytes;
          const { bytes, crc, next } = encoder.finish(77, previousCrc);
          expect((at + bytes.length) % sectorBytes).toBe(0);
          const file = Buffer.concat([Buffer.alloc(at, 0xee), bytes]);
          const frame = readFrame(file, at, 77, 2);
          expect(frame?.crc).toBe(crc);
          expect(frame?.previousCrc).toBe(previousCrc);
          expect(frame?.end).toBe(frameEnd(at, payloadBytes));
          expect(frame?.next).toBe(next);
          expect(file.subarray(frame?.end).every((byte) => byte === 0)).toBe(true);
          // Each sector but the first starts with what no other frame has.
          for (let sector = at - (at % 512) + 512; sector < (frame?.end ?? 0); sector += 512) {
            expect([file.readUInt32LE(sector), file.readUInt32LE(sector + 4)]).toEqual([
              77,
              previousCrc,
            ]);
          }
          const items = itemsOf(frame?.payload ?? Buffer.alloc(0)) ?? [];
          const read = items.flatMap((item): Entry[] =>
            item.kind === 'entry' ? [item.entry] : [],
          );
          expect(read.map((one) => ({ ...one, data: Uint8Array.from(one.data) }))).toEqual(list);
          expect(items.at(-1)).toEqual({ kind: 'hardState', hardState });
        },
      ),
    );
  });

  test('has the bytes that docs and other versions expect', () => {
    const encoder = new FrameEncoder();
    encoder.begin(0);
    encoder.segment({
      sequence: 2,
      lastIndex: 0x1_0000_0005,
      lastTerm: 3,
      version: 2,
      fileBytes: 0x10_0000,
      magicBase: magicBaseFrom(0x1234_5678),
      isRecycled: true,
    });
    encoder.metadata(Buffer.from('meta'));
    encoder.hardState({ term: 4, vote: 0x1122_3344_5566_7788n, commit: 5 });
    encoder.snapshot(snapshot(1, 2));
    encoder.entry({ index: 6, term: 4, type: 'configChange', data: Buffer.from('abc') });
    const { bytes } = encoder.finish(magicOf(magicBaseFrom(0x1234_5678), 2), 0xdead_beef);
    expect(bytes.length).toBe(sectorBytes);
    const lines = bytes
      .subarray(0, encoder.length)
      .toString('hex')
      .match(/.{1,64}/g);
    expect(lines).toMatchInlineSnapshot(`
      [
        "4c68eab37a563492e0000000efbeadded8000000000000002800000001000000",
        "0200000000000000050000000100000003000000000000000200000078563492",
        "010000000000100004000000020000006d657461000000001800000003000000",
        "0400000000000000887766554433221105000000000000005000000005000000",
        "0100000000000000020000000000000003000000010000000100000000000000",
        "010000000000000001000000000000000200000000000000ffffffffffffffff",
        "0100000000000000040000000000000013000000040100000600000000000000",
        "04000000000000006162630000000000",
      ]
    `);
  });

  test('is never read from other bytes, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(8), (noise, at) => {
        const bytes = Buffer.from(noise);
        const magic = bytes.length >= 8 ? bytes.readUInt32LE(4) : 1;
        for (const version of [1, 2] as const) {
          expect(readFrame(bytes, at, magic, version)).toBeUndefined();
          expect(findFrame(bytes, 0, magic, version)).toBe(-1);
        }
        // Items are decoded under a right checksum only, but must not throw or loop all the same.
        itemsOf(bytes);
      }),
    );
  });

  test('of an old segment is no frame of the one that reuses its file', () => {
    const encoder = new FrameEncoder();
    const base = magicBaseFrom(0xffff_ffff);
    encoder.begin(0);
    encoder.entry(entry(1, 1));
    const { bytes } = encoder.finish(magicOf(base, 1), 0);
    const copy = Buffer.from(bytes);
    expect(readFrame(copy, 0, magicOf(base, 1), 2)).toBeDefined();
    copy.writeUInt32LE(magicOf(base, 2), 4);
    expect(readFrame(copy, 0, magicOf(base, 2), 2)).toBeUndefined();
  });

  test('is found at any aligned place', () => {
    const encoder = new FrameEncoder();
    fc.assert(
      fc.property(place, fc.uint8Array({ maxLength: 64 }), (at, noise) => {
        encoder.begin(at);
        encoder.entry(entry(1, 1, noise));
        const { bytes } = encoder.finish(0x8765_4321, 9);
        const all = Buffer.concat([Buffer.alloc(at, 0xee), bytes, Buffer.from(noise)]);
        expect(findFrame(all, 0, 0x8765_4321, 2)).toBe(at);
        expect(findFrame(all, at + 8, 0x8765_4321, 2)).toBe(-1);
      }),
    );
  });
});

test('a configuration comes back, and nothing else is taken for one', () => {
  const group = fc.array(id, { maxLength: 5 });
  const configuration = fc.record({
    voters: group,
    votersOutgoing: group,
    learners: group,
    learnersNext: group,
    autoLeave: fc.boolean(),
  });
  fc.assert(
    fc.property(configuration, (one) => {
      const bytes = encodeConfiguration(one);
      expect(decodeConfiguration(bytes)).toEqual(one);
      expect(decodeConfiguration(bytes.subarray(0, bytes.length - 1))).toBeUndefined();
    }),
  );
  expect(align8(9)).toBe(16);
});
