/**
 * A checkpoint of the index: all keys in their order, so that the journal need not go back to the
 * beginning (checkpointer.ts writes it, restore.ts reads it).
 *
 * It is written while the index changes, so it is not a state that ever was: each item is as it was
 * when its turn came. That is enough, because the journal from the beginning of the writing on is
 * kept, and a change that an item has already is passed over.
 *
 *   '}'                     header: JSON + checksum; written when all it speaks of is there
 *   '|' slot1 number4       block of items + checksum; two slots, one is being replaced
 *
 * Behind all that is written all the time, so that it stays where it is.
 *
 * An item, all numbers as varints: key length, key, flags, main, sub, created, version, bytes,
 * [lease], [history: triples, closed generations].
 */

import { assert, type KvView, type LeaseId, scanPageBytes } from '../../common/index.js';
import { type ClosedGeneration, KeyItem, noLocation, type RevisionList } from '../index/index.js';
import { seal, unseal } from '../schema/index.js';

export const headerKey = Buffer.from('}');
export const blocksStart = Buffer.from('|');
export const blocksEnd = Buffer.from('}');
/** A block ends with the item with which it has more. */
export const blockBytes = 32 * 1024;
const blocksPerPage = 32;

const flagDead = 1;
const flagLease = 2;
const flagHistory = 4;

/** What the newest complete checkpoint consists of. */
export interface CheckpointHeader {
  readonly slot: number;
  readonly blocks: number;
  readonly keys: number;
  readonly bytes: number;
  /** The journal goes on with this batch; those of before may be gone. */
  readonly journalStart: number;
  /** Bytes of the journal that were ever written before that batch. */
  readonly journalBytes: number;
  /** Batches of the journal from here on may have been left behind. */
  readonly journalOldest: number;
}

/** Of a store that never held anything. */
export const emptyCheckpoint: CheckpointHeader = {
  slot: 0,
  blocks: 0,
  keys: 0,
  bytes: 0,
  journalStart: 0,
  journalBytes: 0,
  journalOldest: 0,
};

/** As the KvStore keeps it. */
export function encodeHeader(header: CheckpointHeader): Buffer {
  return seal(headerKey, Buffer.from(JSON.stringify(header)));
}

/** The reverse of {@link encodeHeader}; undefined if it is damaged. */
export function decodeHeader(sealed: Buffer): CheckpointHeader | undefined {
  const text = unseal(headerKey, sealed);
  return text === undefined ? undefined : (JSON.parse(text.toString()) as CheckpointHeader);
}

/** The key of a block. */
export function blockKey(slot: number, n: number): Buffer {
  assert(slot === 0 || slot === 1, 'there are two slots for checkpoints');
  const key = Buffer.from('|00000', 'latin1');
  key[1] = slot;
  key.writeUInt32BE(n, 2);
  return key;
}

/** Gets each item in the order of keys; `key` is set. */
export type OnItem = (item: KeyItem, lease: LeaseId) => void;

/** Gives all items to `onItem`; a text about what is wrong if some are not there. */
export async function readCheckpoint(
  view: KvView,
  header: CheckpointHeader,
  onItem: OnItem,
): Promise<string | undefined> {
  const decoder = new ItemDecoder(onItem);
  const lt = blockKey(header.slot, header.blocks);
  const page = (gte: Buffer): ReturnType<KvView['scan']> =>
    view.scan({ gte, lt, countMax: blocksPerPage, bytesMax: scanPageBytes });
  let pages = page(blockKey(header.slot, 0));
  let n = 0;
  while (n < header.blocks) {
    const entries = await pages;
    const last = entries[entries.length - 1];
    if (last === undefined) return `block ${n} of the saved index is missing`;
    // The next page is read on another thread meanwhile.
    pages = page(Buffer.concat([last[0], Buffer.from([0])]));
    pages.catch(() => {});
    for (const [key, sealed] of entries) {
      if (key.readUInt32BE(2) !== n) return `block ${n} of the saved index is missing`;
      const block = unseal(key, sealed);
      if (block === undefined) return `block ${n} of the saved index is damaged`;
      decoder.decode(block);
      n += 1;
    }
  }
  // Nothing may use the view any more when this returns.
  await pages.catch(() => {});
  if (decoder.keys !== header.keys) return 'the saved index has another number of keys';
  return undefined;
}

/** Encodes items one after the other into a growing block. */
export class ItemEncoder {
  length = 0;
  #bytes = Buffer.allocUnsafe(blockBytes * 2);

  add(key: string, item: KeyItem, lease: LeaseId): void {
    const history = item.history;
    this.#reserve(key.length + 128);
    this.#number(key.length);
    this.length += this.#bytes.write(key, this.length, 'latin1');
    this.#number(
      (item.dead ? flagDead : 0) |
        (lease === 0n ? 0 : flagLease) |
        (history === undefined ? 0 : flagHistory),
    );
    this.#number(item.main);
    this.#number(item.sub);
    this.#number(item.created);
    this.#number(item.version);
    this.#number(item.bytes);
    if (lease !== 0n) this.length = this.#bytes.writeBigInt64LE(lease, this.length);
    if (history === undefined) return;
    this.#list(history.revisions);
    this.#number(history.closed.length);
    for (const generation of history.closed) {
      this.#reserve(32);
      this.#number(generation.created);
      this.#number(generation.version);
      this.#list(generation.revisions);
    }
  }

  /** The block for `key`, in a buffer of its own. */
  take(key: Buffer): Buffer {
    assert(this.length > 0, 'a block has an item');
    const block = seal(key, this.#bytes.subarray(0, this.length));
    this.length = 0;
    return block;
  }

  #list(list: RevisionList): void {
    this.#reserve(10 * (list.length + 1));
    this.#number(list.length);
    for (const n of list) this.#number(n);
  }

  #number(n: number): void {
    let rest = n;
    while (rest >= 0x80) {
      this.#bytes[this.length] = (rest % 128) | 0x80;
      this.length += 1;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.length] = rest;
    this.length += 1;
  }

  #reserve(more: number): void {
    if (this.length + more + 32 <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe((this.length + more) * 2);
    this.#bytes.copy(larger, 0, 0, this.length);
    this.#bytes = larger;
  }
}

class ItemDecoder {
  keys = 0;
  readonly #onItem: OnItem;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(onItem: OnItem) {
    this.#onItem = onItem;
  }

  decode(block: Buffer): void {
    this.#bytes = block;
    this.#at = 0;
    while (this.#at < block.length) this.#item();
    assert(this.#at === block.length, 'a block ends with a whole item');
  }

  #item(): void {
    const length = this.#number();
    const key = this.#bytes.toString('latin1', this.#at, this.#at + length);
    this.#at += length;
    const flags = this.#number();
    const item = new KeyItem(this.#number(), this.#number(), 0, noLocation);
    item.created = this.#number();
    item.version = this.#number();
    item.bytes = this.#number();
    item.dead = (flags & flagDead) !== 0;
    item.key = key;
    let lease = 0n;
    if ((flags & flagLease) !== 0) {
      lease = this.#bytes.readBigInt64LE(this.#at);
      this.#at += 8;
    }
    if ((flags & flagHistory) !== 0) this.#history(item);
    this.keys += 1;
    this.#onItem(item, lease);
  }

  #history(item: KeyItem): void {
    const revisions = this.#list();
    const closed: ClosedGeneration[] = [];
    for (let n = this.#number(); n > 0; n -= 1) {
      closed.push({ created: this.#number(), version: this.#number(), revisions: this.#list() });
    }
    item.history = { revisions, closed };
  }

  #list(): RevisionList {
    const length = this.#number();
    const list: RevisionList = [];
    for (let i = 0; i < length; i += 1) list.push(this.#number());
    return list;
  }

  #number(): number {
    let result = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at] as number;
      this.#at += 1;
      if (byte < 0x80) return result + byte * scale;
      result += (byte & 0x7f) * scale;
      scale *= 128;
    }
  }
}
