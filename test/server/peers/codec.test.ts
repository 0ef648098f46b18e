import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AppendEntries } from '../../../src/raft/index.js';
import { decodeMessage, encodeMessage } from '../../../src/server/peers/codec.js';
import { FrameError } from '../../../src/server/peers/frame.js';
import { anyMessage, appendOf, heartbeat } from './messages.js';

/** Puts the right checksum on a changed frame. */
function sealed(frame: Buffer): Buffer {
  frame.writeUInt32LE(crc32(frame.subarray(4)));
  return frame;
}

function changed(frame: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(frame);
  change(copy);
  return sealed(copy);
}

const append = encodeMessage(appendOf(1n, 2n, 10, 3, 5));

describe('frames of Raft messages (L-48)', () => {
  it('are decoded to what was encoded', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const frame = encodeMessage(message);
        expect(decodeMessage(frame, message.from, message.to)).toEqual(message);
      }),
    );
  });

  it('of a notice are those of a message to be answered for a version before notices', () => {
    const before = appendOf(1n, 2n, 10, 0, 0);
    const message = { ...before, isNotice: true as const };
    const frame = encodeMessage(message, true, false);
    expect(frame[6]).toBe(0);
    expect(frame.equals(encodeMessage(before))).toBe(true);
    expect(decodeMessage(encodeMessage(message), 1n, 2n)).toEqual(message);
  });

  it('have no clock in them for a member of a version before the clocks', () => {
    const data = Buffer.from('x');
    const messages = [
      { ...heartbeat(1n, 2n, 9), clockMs: 12_345 },
      {
        type: 'ForwardProposal' as const,
        ...{ from: 1n, to: 2n, term: 3, clockMs: 12_345 },
        entries: [{ type: 'normal' as const, data }],
      },
    ];
    for (const message of messages) {
      const { clockMs, ...before } = message;
      const frame = encodeMessage(message, false);
      // Such a version takes no flags in these frames.
      expect(frame[6]).toBe(0);
      expect(frame.equals(encodeMessage(before))).toBe(true);
      expect(decodeMessage(encodeMessage(message), 1n, 2n)).toEqual(message);
    }
  });

  it('are refused with any bit flipped, or cut anywhere, or made longer', () => {
    for (const frame of [append, encodeMessage(heartbeat(1n, 2n, 9))]) {
      for (let bit = 0; bit < frame.length * 8; bit++) {
        const bad = Buffer.from(frame);
        bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(() => decodeMessage(bad, 1n, 2n)).toThrow(FrameError);
      }
      for (let length = 0; length < frame.length; length++) {
        expect(() => decodeMessage(frame.subarray(0, length), 1n, 2n)).toThrow(FrameError);
        const short = sealedOrShort(frame.subarray(0, length));
        expect(() => decodeMessage(short, 1n, 2n)).toThrow(FrameError);
      }
      const long = sealed(Buffer.concat([frame, Buffer.from([0])]));
      expect(() => decodeMessage(long, 1n, 2n)).toThrow(FrameError);
    }
  });

  it('are decoded or refused, whatever is in them under a right checksum', () => {
    let decoded = 0;
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(anyMessage, changes, (message, at) => {
        const bad = changed(encodeMessage(message), (copy) => {
          for (const [i, byte] of at) copy[4 + (i % (copy.length - 4))] = byte;
        });
        try {
          const other = decodeMessage(bad, message.from, message.to);
          // What is accepted is a message: it encodes to the same bytes.
          expect(encodeMessage(other).equals(bad)).toBe(true);
          decoded++;
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
      { numRuns: 1000 },
    );
    expect(decoded).toBeGreaterThan(10);
  });

  it('are refused with random bytes behind a right head', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 255 }),
        fc.uint8Array({ maxLength: 100 }),
        (k, body) => {
          const frame = sealed(Buffer.concat([Buffer.from([0, 0, 0, 0, 1, k, 0, 0]), body]));
          try {
            decodeMessage(frame, 1n, 2n);
          } catch (error) {
            expect(error).toBeInstanceOf(FrameError);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  it.each<[string, (copy: Buffer) => void]>([
    ['an index above 2^53', (copy) => void copy.writeUInt32LE(0x20_0000, 16 + 4)],
    ['an index that passes 2^53 with its entries', (copy) => void copy.fill(0xff, 16, 22)],
    ['a term above 2^53', (copy) => void copy.writeUInt32LE(0xffff_ffff, 8 + 4)],
    ['a later version', (copy) => void copy.writeUInt8(2, 4)],
    ['an unknown kind', (copy) => void copy.writeUInt8(99, 5)],
    ['unknown flags', (copy) => void copy.writeUInt8(0x80, 6)],
    ['a reserved byte', (copy) => void copy.writeUInt8(1, 7)],
    ['more entries than bytes', (copy) => void copy.writeUInt32LE(0xffff_ffff, 16 + 24)],
    ['an entry longer than the frame', (copy) => void copy.writeUInt32LE(0xffff_fff0, 44 + 8)],
    ['an unknown type of entry', (copy) => void copy.writeUInt8(3, 44 + 12)],
    ['an entry of a later term than the message', (copy) => void copy.writeUInt8(4, 44)],
    ['an entry of an earlier term than the one before', (copy) => void copy.writeUInt8(2, 44)],
  ])('are refused with %s', (_what, change) => {
    const bad = changed(append, (copy) => {
      if (_what.startsWith('an index that passes')) copy.writeUInt16LE(0x1f, 22);
      change(copy);
    });
    expect(() => decodeMessage(bad, 1n, 2n)).toThrow(FrameError);
  });

  it('give entries that share no memory with the frame', () => {
    const frame = Buffer.from(append);
    const message = decodeMessage(frame, 1n, 2n) as AppendEntries;
    frame.fill(0xee);
    expect(message).toEqual(appendOf(1n, 2n, 10, 3, 5));
    const big = encodeMessage(appendOf(1n, 2n, 10, 3, 50_000));
    const { entries } = decodeMessage(big, 1n, 2n) as AppendEntries;
    const kept = new Set(entries.map(({ data }) => data.buffer));
    expect([...kept].map(({ byteLength }) => byteLength)).toEqual([150_000]);
  });

  it('are not made of numbers that would not survive', () => {
    expect(() => encodeMessage(heartbeat(1n, 2n, 2 ** 53))).toThrow('safe integer');
    expect(() => encodeMessage(heartbeat(1n, 2n, -1))).toThrow('safe integer');
    const gap = appendOf(1n, 2n, 10, 3, 5);
    expect(() => encodeMessage({ ...gap, prevLogIndex: 9 })).toThrow('follow each other');
  });
});

function sealedOrShort(frame: Buffer): Buffer {
  return frame.length < 4 ? frame : sealed(Buffer.from(frame));
}
