/**
 * What every frame between members begins with. A frame is one gRPC message:
 *
 *   crc u32 | version u8 | kind u8 | flags u8 | 0 u8 | body
 *
 * `crc` covers all that follows it. Numbers are little-endian; what counts (terms, indexes) is a
 * u64 that must be a safe integer. TCP's sixteen bits let through one damaged segment in 65536, and
 * memory is not always right either: what enters the log of a member is checked once more here.
 */

import { crc32 } from 'node:zlib';
import { assert, safeIntegerMax } from '../../common/index.js';

export const frameHeadBytes = 8;
/** The version that this code writes, and the only one it reads. */
export const frameVersion = 1;

/** What the bytes of a frame are not. The text is for the log. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/**
 * A new buffer for a frame. Small ones are cut out of a shared block of 8 KiB: a buffer of their
 * own would cost more than what they say.
 */
export function newFrame(kind: number, flags: number, bytes: number): Buffer {
  assert(bytes >= frameHeadBytes, 'a frame without a head');
  const frame = Buffer.allocUnsafe(bytes);
  frame[4] = frameVersion;
  frame[5] = kind;
  frame[6] = flags;
  frame[7] = 0;
  return frame;
}

/** Writes the checksum; the frame is complete then. */
export function sealFrame(frame: Buffer): Buffer {
  writeU32(frame, 0, crc32(frame.subarray(4)));
  return frame;
}

/** Checks what all frames have in common. Throws {@link FrameError}. */
export function checkFrame(frame: Buffer): void {
  if (frame.length < frameHeadBytes) throw new FrameError(`a frame of ${frame.length} bytes`);
  if (crc32(frame.subarray(4)) !== readU32(frame, 0)) throw new FrameError('wrong checksum');
  if (frame[4] !== frameVersion) throw new FrameError(`unknown version ${frame[4]}`);
  if (frame[7] !== 0) throw new FrameError('a reserved byte is not 0');
}

/** Throws {@link FrameError} unless the body is exactly so long. */
export function expectLength(frame: Buffer, bytes: number): void {
  if (frame.length !== bytes) {
    throw new FrameError(`a frame of ${frame.length} bytes instead of ${bytes}`);
  }
}

export function writeU32(to: Buffer, at: number, value: number): void {
  to[at] = value;
  to[at + 1] = value >>> 8;
  to[at + 2] = value >>> 16;
  to[at + 3] = value >>> 24;
}

export function readU32(from: Buffer, at: number): number {
  return (
    ((from[at] as number) |
      ((from[at + 1] as number) << 8) |
      ((from[at + 2] as number) << 16) |
      ((from[at + 3] as number) << 24)) >>>
    0
  );
}

/** A safe integer as u64; in two halves, because a bigint would cost an object. */
export function writeU64(to: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  writeU32(to, at, value - high * 0x1_0000_0000);
  writeU32(to, at + 4, high);
}

/** Throws {@link FrameError} above the safe integers. */
export function readU64(from: Buffer, at: number): number {
  const value = readU32(from, at + 4) * 0x1_0000_0000 + readU32(from, at);
  if (value > safeIntegerMax) throw new FrameError('a number above 2^53');
  return value;
}
