/**
 * Frames that belong to a link and not to Raft: the listener's own introduction, which must come
 * first; pings for the round trip metric; and what a snapshot travels in.
 *
 *   welcome  clusterId, memberId, incarnation u64, then the version as text; flag 1: clocks in
 *            heartbeats and proposals are taken, flag 2: notices are (versions that do not know
 *            a flag look past it)
 *   ping     sequence u64; pong: the same
 *   open     feed u64 (0: a new one), then a position
 *   opened   feed u64
 *   piece    positionLength u32, position, data
 *   end      nothing
 */

import { assert } from '../../common/index.js';
import {
  checkFrame,
  expectLength,
  FrameError,
  frameHeadBytes,
  newFrame,
  readU32,
  readU64,
  sealFrame,
  writeU32,
  writeU64,
} from './frame.js';
import { isVersion } from './handshake.js';
import type { PeerHello, SnapshotPiece } from './types.js';

export const kindWelcome = 32;
export const kindPing = 33;
export const kindPong = 34;
const kindOpen = 48;
const kindOpened = 49;
const kindPiece = 50;
const kindEnd = 51;

const bodyAt = frameHeadBytes;
const takesClocksFlag = 1;
const takesNoticesFlag = 2;

export function encodeWelcome(hello: PeerHello): Buffer {
  const version = Buffer.from(hello.version, 'latin1');
  const flags = takesClocksFlag | takesNoticesFlag;
  const frame = newFrame(kindWelcome, flags, bodyAt + 24 + version.length);
  frame.writeBigUInt64LE(hello.clusterId, bodyAt);
  frame.writeBigUInt64LE(hello.memberId, bodyAt + 8);
  frame.writeBigUInt64LE(hello.incarnation, bodyAt + 16);
  version.copy(frame, bodyAt + 24);
  return sealFrame(frame);
}

/** Throws {@link FrameError}. */
export function decodeWelcome(frame: Buffer): PeerHello {
  checkFrame(frame);
  if (frame[5] !== kindWelcome) throw new FrameError('the first frame is no welcome');
  const version = frame.toString('latin1', bodyAt + 24);
  if (!isVersion(version)) throw new FrameError('a welcome without a version');
  return {
    clusterId: frame.readBigUInt64LE(bodyAt),
    memberId: frame.readBigUInt64LE(bodyAt + 8),
    incarnation: frame.readBigUInt64LE(bodyAt + 16),
    version,
  };
}

/** Of a frame that `decodeWelcome` took: see codec.ts. */
export function welcomeTakesClocks(frame: Buffer): boolean {
  return ((frame[6] as number) & takesClocksFlag) !== 0;
}

/** As `welcomeTakesClocks`. */
export function welcomeTakesNotices(frame: Buffer): boolean {
  return ((frame[6] as number) & takesNoticesFlag) !== 0;
}

/** `kind`: ping or pong. */
export function encodePing(kind: typeof kindPing | typeof kindPong, sequence: number): Buffer {
  const frame = newFrame(kind, 0, bodyAt + 8);
  writeU64(frame, bodyAt, sequence);
  return sealFrame(frame);
}

/** The sequence of a ping or pong. Throws {@link FrameError}. */
export function decodePing(kind: typeof kindPing | typeof kindPong, frame: Buffer): number {
  checkFrame(frame);
  if (frame[5] !== kind) throw new FrameError(`unexpected kind ${frame[5]}`);
  expectLength(frame, bodyAt + 8);
  return readU64(frame, bodyAt);
}

/** Asks for a snapshot: a new feed, or the rest of one. */
export interface FeedRequest {
  /** 0: a new one. */
  readonly feed: number;
  /** Of the last piece that was received; empty: from the start. */
  readonly position: Buffer;
}

export function encodeFeedRequest(feed: number, position: Uint8Array): Buffer {
  const frame = newFrame(kindOpen, 0, bodyAt + 8 + position.length);
  writeU64(frame, bodyAt, feed);
  frame.set(position, bodyAt + 8);
  return sealFrame(frame);
}

/** Throws {@link FrameError}. Copies. */
export function decodeFeedRequest(frame: Buffer): FeedRequest {
  checkFrame(frame);
  if (frame[5] !== kindOpen || frame.length < bodyAt + 8) throw new FrameError('no request');
  return { feed: readU64(frame, bodyAt), position: Buffer.from(frame.subarray(bodyAt + 8)) };
}

/** What a snapshot stream says. */
export type FeedFrame =
  | { readonly kind: 'opened'; readonly feed: number }
  | { readonly kind: 'piece'; readonly piece: SnapshotPiece }
  | { readonly kind: 'end' };

export function encodeOpened(feed: number): Buffer {
  const frame = newFrame(kindOpened, 0, bodyAt + 8);
  writeU64(frame, bodyAt, feed);
  return sealFrame(frame);
}

export function encodePiece(piece: SnapshotPiece): Buffer {
  const { data, position } = piece;
  assert(position.length > 0, 'a piece after which nobody could go on');
  const dataAt = bodyAt + 4 + position.length;
  const frame = newFrame(kindPiece, 0, dataAt + data.length);
  writeU32(frame, bodyAt, position.length);
  frame.set(position, bodyAt + 4);
  frame.set(data, dataAt);
  return sealFrame(frame);
}

export function encodeEnd(): Buffer {
  return sealFrame(newFrame(kindEnd, 0, bodyAt));
}

/** Throws {@link FrameError}. Copies. */
export function decodeFeedFrame(frame: Buffer): FeedFrame {
  checkFrame(frame);
  const kind = frame[5] as number;
  if (kind === kindEnd) {
    expectLength(frame, bodyAt);
    return { kind: 'end' };
  }
  if (kind === kindOpened) {
    expectLength(frame, bodyAt + 8);
    return { kind: 'opened', feed: readU64(frame, bodyAt) };
  }
  if (kind !== kindPiece || frame.length < bodyAt + 4) throw new FrameError('no piece');
  const dataAt = bodyAt + 4 + readU32(frame, bodyAt);
  if (dataAt > frame.length) throw new FrameError('a position longer than its frame');
  const own = Buffer.from(frame.subarray(bodyAt + 4));
  const positionBytes = dataAt - bodyAt - 4;
  const piece = { position: own.subarray(0, positionBytes), data: own.subarray(positionBytes) };
  return { kind: 'piece', piece };
}
