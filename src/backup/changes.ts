/**
 * What a file of changes holds, line by line:
 *
 *     kind u8 | length u32 | body            little endian
 *     c  revision f64 | number in it u32 | tombstone u8 | encoded KeyValue (of a deletion the key)
 *     t  wall clock in ms f64 | revision f64: at that time the newest one was this
 *     l  id i64 | TTL f64 | remaining TTL f64: a lease that was met
 *     s  number of leases f64: those that follow (as `l`) are all that there were at the end
 *     e  first revision f64 | last revision f64 | changes f64: the end; the revisions are whole
 */

import { createHash, type Hash } from 'node:crypto';
import type { Revision } from '../common/index.js';
import { damagedFile } from './damage.js';

/** A record of the store. */
export interface ChangeLine {
  readonly kind: 'change';
  readonly main: Revision;
  /** Its number within the revision. */
  readonly sub: number;
  readonly isTombstone: boolean;
  /** Encoded mvccpb.KeyValue; of a tombstone the key alone. */
  readonly keyValue: Uint8Array;
}

export interface TimeLine {
  readonly kind: 'time';
  readonly wallMs: number;
  readonly revision: Revision;
}

export interface LeaseLine {
  readonly kind: 'lease';
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** 0: all of it. */
  readonly remainingTtlSeconds: number;
}

/** The leases that follow are all that there were. */
export interface LeasesLine {
  readonly kind: 'leases';
  readonly count: number;
}

export interface EndLine {
  readonly kind: 'end';
  readonly from: Revision;
  readonly to: Revision;
  readonly changes: number;
}

export type Line = ChangeLine | TimeLine | LeaseLine | LeasesLine | EndLine;

const headBytes = 5;
const changeHeadBytes = 13;
const kinds = { change: 0x63, time: 0x74, lease: 0x6c, leases: 0x73, end: 0x65 } as const;

/** The bytes of a line. */
export function encodeLine(line: Line): Buffer {
  if (line.kind === 'change') return encodeChange(line);
  if (line.kind === 'lease') {
    const bytes = headed(kinds.lease, 24);
    bytes.writeBigInt64LE(line.id, headBytes);
    bytes.writeDoubleLE(line.ttlSeconds, headBytes + 8);
    bytes.writeDoubleLE(line.remainingTtlSeconds, headBytes + 16);
    return bytes;
  }
  if (line.kind === 'time') return encodeNumbers(kinds.time, [line.wallMs, line.revision]);
  if (line.kind === 'leases') return encodeNumbers(kinds.leases, [line.count]);
  return encodeNumbers(kinds.end, [line.from, line.to, line.changes]);
}

function encodeChange({ main, sub, isTombstone, keyValue }: ChangeLine): Buffer {
  const bytes = headed(kinds.change, changeHeadBytes + keyValue.length);
  bytes.writeDoubleLE(main, headBytes);
  bytes.writeUInt32LE(sub, headBytes + 8);
  bytes.writeUInt8(isTombstone ? 1 : 0, headBytes + 12);
  bytes.set(keyValue, headBytes + changeHeadBytes);
  return bytes;
}

function encodeNumbers(kind: number, numbers: readonly number[]): Buffer {
  const bytes = headed(kind, numbers.length * 8);
  for (const [i, number] of numbers.entries()) bytes.writeDoubleLE(number, headBytes + i * 8);
  return bytes;
}

function headed(kind: number, length: number): Buffer {
  const bytes = Buffer.alloc(headBytes + length);
  bytes.writeUInt8(kind, 0);
  bytes.writeUInt32LE(length, 1);
  return bytes;
}

/**
 * The lines of the file `name`, which has to end with an end line, its changes in order and as many
 * as that says. Throws StorageError.
 */
export async function* readLines(
  name: string,
  source: AsyncIterable<Buffer>,
): AsyncGenerator<Line> {
  const order = new LineOrder(name);
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of source) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let at = 0;
    for (;;) {
      const end = lineEnd(bytes, at);
      if (end === undefined) break;
      const line = decodeLine(bytes, at, end);
      if (line === undefined) throw damagedFile(name, 'a newer version wrote a line in it');
      order.take(line);
      yield line;
      at = end;
    }
    rest = bytes.subarray(at);
  }
  if (rest.length > 0 || !order.hasEnded) throw damagedFile(name, 'its last line is missing');
}

/** Where the line at `at` ends; undefined: not in these bytes. */
function lineEnd(bytes: Buffer, at: number): number | undefined {
  if (at + headBytes > bytes.length) return undefined;
  const end = at + headBytes + bytes.readUInt32LE(at + 1);
  return end > bytes.length ? undefined : end;
}

function decodeLine(bytes: Buffer, at: number, end: number): Line | undefined {
  const kind = bytes[at];
  const body = bytes.subarray(at + headBytes, end);
  const number = (i: number): number => body.readDoubleLE(i * 8);
  if (kind === kinds.change && body.length >= changeHeadBytes) {
    const main = number(0);
    const isTombstone = body[12] === 1;
    const keyValue = body.subarray(changeHeadBytes);
    return { kind: 'change', main, sub: body.readUInt32LE(8), isTombstone, keyValue };
  }
  if (kind === kinds.time && body.length === 16) {
    return { kind: 'time', wallMs: number(0), revision: number(1) };
  }
  if (kind === kinds.lease && body.length === 24) {
    const id = body.readBigInt64LE(0);
    return { kind: 'lease', id, ttlSeconds: number(1), remainingTtlSeconds: number(2) };
  }
  if (kind === kinds.leases && body.length === 8) return { kind: 'leases', count: number(0) };
  if (kind === kinds.end && body.length === 24) {
    return { kind: 'end', from: number(0), to: number(1), changes: number(2) };
  }
  return undefined;
}

/** What holds between the lines of a file. */
class LineOrder {
  hasEnded = false;
  readonly #name: string;
  #changes = 0;
  #first: Revision = 0;
  #main: Revision = 0;
  #sub = -1;

  constructor(name: string) {
    this.#name = name;
  }

  take(line: Line): void {
    if (this.hasEnded) throw damagedFile(this.#name, 'it goes on behind its last line');
    if (line.kind === 'change') this.#takeChange(line);
    if (line.kind !== 'end') return;
    this.hasEnded = true;
    const isWhole = line.changes === this.#changes;
    const isWithin = this.#changes === 0 || (this.#first >= line.from && this.#main <= line.to);
    if (!isWhole || !isWithin) throw damagedFile(this.#name, 'its changes are not all there');
  }

  #takeChange({ main, sub }: ChangeLine): void {
    const isNext = main > this.#main || (main === this.#main && sub > this.#sub);
    if (!isNext) throw damagedFile(this.#name, `revision ${main} in it is out of order`);
    if (this.#changes === 0) this.#first = main;
    this.#changes += 1;
    this.#main = main;
    this.#sub = sub;
  }
}

/** Of the changes of one revision: whether it is the same one in another history. */
export class RevisionDigest {
  readonly #hash: Hash = createHash('sha256');

  add(change: ChangeLine): void {
    this.#hash.update(encodeChange(change));
  }

  take(): string {
    return this.#hash.digest('hex');
  }
}
