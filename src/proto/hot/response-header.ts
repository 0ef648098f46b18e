/** ResponseHeader: the first field of every reply. */

import { emptyBytes } from '../../common/index.js';
import type { EncodedHeader, ResponseHeader } from './message-types.js';
import type { Mutable } from './mutable.js';
import type { WireReader } from './wire-reader.js';
import { putVarint, startMessage, varintBytes, type WireWriter } from './wire-writer.js';

/**
 * Encodes the headers of one node. The ids never change and take ten bytes each, so they are
 * encoded once; and replies at the same revision and term share one buffer.
 */
export class HeaderEncoder {
  readonly #ids: Buffer;
  #revision = -1;
  #term = -1;
  #last: Buffer = emptyBytes;
  /** By length, for {@link passing}. */
  readonly #scratch: Array<Buffer | undefined> = new Array(64).fill(undefined);

  constructor(clusterId: bigint, memberId: bigint) {
    const w = startMessage();
    w.optionalId(2, memberId);
    w.optionalId(1, clusterId);
    this.#ids = w.take();
  }

  /** The whole `header` field, tag and length included. Shared: never write to it. */
  header(revision: number, term: number): Buffer {
    if (revision === this.#revision && term === this.#term) return this.#last;
    const field = Buffer.allocUnsafe(this.#fieldBytes(revision, term));
    this.#write(field, revision, term);
    this.#revision = revision;
    this.#term = term;
    this.#last = field;
    return field;
  }

  /**
   * As {@link header}, but good only until the next call: for a reply that is copied at once. Every
   * put has a revision of its own, so it would need a buffer of its own.
   */
  passing(revision: number, term: number): Buffer {
    const bytes = this.#fieldBytes(revision, term);
    let field = this.#scratch[bytes];
    if (field === undefined) {
      field = Buffer.allocUnsafe(bytes);
      this.#scratch[bytes] = field;
    }
    this.#write(field, revision, term);
    return field;
  }

  /** Two ids, a revision and a term take 44 bytes at the most: the length is one byte. */
  #fieldBytes(revision: number, term: number): number {
    return (
      2 +
      this.#ids.length +
      (revision === 0 ? 0 : 1 + varintBytes(revision)) +
      (term === 0 ? 0 : 1 + varintBytes(term))
    );
  }

  #write(field: Buffer, revision: number, term: number): void {
    const ids = this.#ids;
    field[0] = 0x0a;
    field[1] = field.length - 2;
    let pos = 2;
    for (let i = 0; i < ids.length; i += 1) field[pos + i] = ids[i] as number;
    pos += ids.length;
    if (revision !== 0) {
      field[pos] = 0x18;
      pos = putVarint(field, revision, pos + 1);
    }
    if (term !== 0) {
      field[pos] = 0x20;
      putVarint(field, term, pos + 1);
    }
  }
}

/** Writes an encoded header field, if there is one. */
export function writeHeader(w: WireWriter, header: EncodedHeader): void {
  if (header !== undefined) w.raw(header);
}

/** Reads the fields of a ResponseHeader into `into`, or into a new one. */
export function mergeHeader(r: WireReader, into: ResponseHeader | undefined): ResponseHeader {
  const header: Mutable<ResponseHeader> = into ?? {
    clusterId: 0n,
    memberId: 0n,
    revision: 0,
    raftTerm: 0,
  };
  const outer = r.enter();
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x08:
        header.clusterId = r.unsignedId();
        break;
      case 0x10:
        header.memberId = r.unsignedId();
        break;
      case 0x18:
        header.revision = r.int64();
        break;
      case 0x20:
        header.raftTerm = r.uint64();
        break;
      default:
        r.skip(tag);
    }
  }
  r.leave(outer);
  return header;
}
