/**
 * KeyValues without values, written one behind the other as they stand in a RangeResponse: field 2,
 * length, message. A keys-only range of a million keys makes some hundred pages, not a million
 * buffers, and nothing is copied again on the way to the socket.
 */

import type { KeyString, Revision } from '../../common/index.js';
import { recordSize, writeRecord, writeVarint } from '../schema/index.js';

/** RangeResponse.kvs, length-delimited. */
const tagKvs = 0x12;
/** Pages start small, for most lists are, and double up to this. */
const pageBytesMin = 512;
const pageBytesMax = 64 * 1024;
/** A record of a key of this length is below 128 bytes whatever its revisions are. */
const shortKeyBytes = 96;
/** All that is around the key: tags, lengths, three varints of at most eight bytes. */
export const aroundKeyBytes = 64;
const noValue = new Uint8Array(0);

/** Pages in the making. */
export class KeyPages {
  readonly #full: Buffer[] = [];
  #page: Buffer = Buffer.alloc(0);
  #used = 0;
  #pageBytes = pageBytesMin;

  /** Appends one key as the index knows it. */
  add(key: KeyString, created: Revision, main: Revision, version: number): void {
    if (this.#used + key.length + aroundKeyBytes > this.#page.length) this.#turnPage(key.length);
    const page = this.#page;
    const start = this.#used;
    page[start] = tagKvs;
    if (key.length <= shortKeyBytes) {
      this.#used = writeRecord(page, start + 2, key, created, main, version, noValue, 0n);
      page[start + 1] = this.#used - start - 2;
      return;
    }
    const size = recordSize(key.length, created, main, version, 0, 0n);
    const at = writeVarint(page, start + 1, size);
    this.#used = writeRecord(page, at, key, created, main, version, noValue, 0n);
  }

  /** What was written; the pages are the caller's. */
  take(): readonly Uint8Array[] {
    if (this.#used > 0) this.#full.push(this.#page.subarray(0, this.#used));
    this.#page = Buffer.alloc(0);
    this.#used = 0;
    return this.#full;
  }

  #turnPage(keyBytes: number): void {
    if (this.#used > 0) this.#full.push(this.#page.subarray(0, this.#used));
    this.#page = Buffer.allocUnsafe(Math.max(this.#pageBytes, keyBytes + aroundKeyBytes));
    this.#pageBytes = Math.min(this.#pageBytes * 2, pageBytesMax);
    this.#used = 0;
  }
}
