/**
 * The index as it was at an orderly stop, so that the next start need not read every record: about
 * 70 bytes a key in order of the keys, instead of all values in order of time.
 *
 * A checkpoint is exact for one revision and one state of compaction. It is used only if no
 * compaction was scheduled since; then the revisions after it are read as always, and both together
 * must add up to the counters of the mark. Otherwise all records are read. It never decides what is
 * true: without it the start is slower, nothing else.
 *
 *   'h'            header: JSON + checksum, written last and removed first
 *   'i' number4    block of items + checksum
 *
 * An item, all numbers as varints: key length, key, flags, main, sub, created, version, bytes,
 * [lease], [history: triples, closed generations].
 */

import type { KvChange, KvView, LeaseId, Revision } from '../common/index.js';
import { scanPageBytes } from '../common/index.js';
import { KeyIndexBuilder } from './key-index-builder.js';
import { type ClosedGeneration, KeyItem, noLocation, type RevisionList } from './key-index-item.js';
import { type MvccState, turn } from './mvcc-state.js';
import { type StoreMark, seal, unseal } from './schema.js';

const headerKey = Buffer.from('h');
const blocksStart = Buffer.from('i');
const blocksEnd = Buffer.from('j');
const blockBytes = 32 * 1024;
const blocksPerBatch = 32;

const flagDead = 1;
const flagLease = 2;
const flagHistory = 4;

interface CheckpointHeader {
  readonly revision: Revision;
  readonly compactRevision: Revision;
  readonly removedRevision: Revision;
  readonly sizeBytes: number;
  readonly records: number;
  readonly keys: number;
  readonly blocks: number;
}

/** Writes the index; call when everything is flushed and nothing more is applied. */
export async function writeCheckpoint(state: MvccState, mark: StoreMark): Promise<void> {
  if (state.index.size < state.checkpointKeysMin) return;
  if (mark.removedRevision !== mark.compactRevision) return;
  const [sealed] = await state.kv.getMany([headerKey]);
  const old = sealed === undefined ? undefined : parseHeader(sealed);
  if (old !== undefined && isSame(old, mark)) return;
  await state.kv.write([{ key: headerKey }], { sync: false });
  const encoder = new ItemEncoder();
  let changes: KvChange[] = [];
  let blocks = 0;
  let next: string | undefined = '';
  while (next !== undefined) {
    next = state.index.walk(next, undefined, Number.POSITIVE_INFINITY, (key, item) => {
      encoder.add(key, item, state.leases.get(key) ?? 0n);
      return encoder.length < blockBytes;
    });
    const key = blockKey(blocks);
    changes.push({ key, value: seal(key, encoder.take()) });
    blocks += 1;
    await turn(state.clock);
    if (changes.length < blocksPerBatch) continue;
    await state.kv.write(changes, { sync: false });
    changes = [];
  }
  for (let stale = blocks; stale < (old?.blocks ?? 0); stale += 1) {
    changes.push({ key: blockKey(stale) });
  }
  const { revision, compactRevision, removedRevision, sizeBytes, records } = mark;
  const keys = state.index.size;
  const header: CheckpointHeader = {
    revision,
    compactRevision,
    removedRevision,
    sizeBytes,
    records,
    keys,
    blocks,
  };
  const value = seal(headerKey, Buffer.from(JSON.stringify(header)));
  await state.kv.write([...changes, { key: headerKey, value }], { sync: true });
}

/** Fills the index if there is a checkpoint that fits the mark; returns what it covers. */
export async function readCheckpoint(
  state: MvccState,
  view: KvView,
  mark: StoreMark,
): Promise<{ revision: Revision; sizeBytes: number; records: number } | undefined> {
  const [found] = await view.scan({ gte: headerKey, lt: blocksStart, countMax: 1, bytesMax: 1 });
  const header = found === undefined ? undefined : parseHeader(found[1]);
  if (header === undefined || header.revision > mark.revision) return undefined;
  if (header.compactRevision !== mark.compactRevision) return undefined;
  if (header.removedRevision !== mark.removedRevision) return undefined;
  const builder = new KeyIndexBuilder();
  const decoder = new ItemDecoder(state, builder);
  const page = (gte: Buffer): ReturnType<KvView['scan']> =>
    view.scan({ gte, lt: blocksEnd, countMax: blocksPerBatch, bytesMax: scanPageBytes });
  let pages = page(blocksStart);
  let blocks = 0;
  for (;;) {
    const entries = await pages;
    const last = entries[entries.length - 1];
    if (last === undefined) break;
    pages = page(Buffer.concat([last[0], Buffer.from([0])]));
    pages.catch(() => {});
    for (const [key, sealed] of entries) {
      const block = unseal(key, sealed);
      // Left out of the count: the records themselves will be read instead.
      if (block === undefined) continue;
      decoder.decode(block);
      blocks += 1;
      await turn(state.clock);
    }
  }
  if (blocks !== header.blocks || builder.size !== header.keys) {
    state.logger.warn(
      'the checkpoint of the index is damaged or incomplete; reading all records instead',
    );
    state.leases.clear();
    return undefined;
  }
  state.index.adopt(builder);
  return header;
}

function parseHeader(sealed: Buffer): CheckpointHeader | undefined {
  const text = unseal(headerKey, sealed);
  return text === undefined ? undefined : (JSON.parse(text.toString()) as CheckpointHeader);
}

function isSame(header: CheckpointHeader, mark: StoreMark): boolean {
  return (
    header.revision === mark.revision &&
    header.compactRevision === mark.compactRevision &&
    header.removedRevision === mark.removedRevision
  );
}

function blockKey(n: number): Buffer {
  const key = Buffer.from('i0000');
  key.writeUInt32BE(n, 1);
  return key;
}

/** Encodes items one after the other into a growing block. */
class ItemEncoder {
  length = 0;
  private bytes = Buffer.allocUnsafe(blockBytes * 2);

  add(key: string, item: KeyItem, lease: LeaseId): void {
    const history = item.history;
    this.reserve(key.length + 128);
    this.number(key.length);
    this.length += this.bytes.write(key, this.length, 'latin1');
    this.number(
      (item.dead ? flagDead : 0) |
        (lease === 0n ? 0 : flagLease) |
        (history === undefined ? 0 : flagHistory),
    );
    this.number(item.main);
    this.number(item.sub);
    this.number(item.created);
    this.number(item.version);
    this.number(item.bytes);
    if (lease !== 0n) this.length = this.bytes.writeBigInt64LE(lease, this.length);
    if (history === undefined) return;
    this.list(history.revisions);
    this.number(history.closed.length);
    for (const generation of history.closed) {
      this.reserve(32);
      this.number(generation.created);
      this.number(generation.version);
      this.list(generation.revisions);
    }
  }

  take(): Buffer {
    const block = this.bytes.subarray(0, this.length);
    this.bytes = Buffer.allocUnsafe(blockBytes * 2);
    this.length = 0;
    return block;
  }

  private list(list: RevisionList): void {
    this.reserve(10 * (list.length + 1));
    this.number(list.length);
    for (const n of list) this.number(n);
  }

  private number(n: number): void {
    let rest = n;
    while (rest >= 0x80) {
      this.bytes[this.length] = (rest % 128) | 0x80;
      this.length += 1;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.length] = rest;
    this.length += 1;
  }

  private reserve(more: number): void {
    if (this.length + more + 32 <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe((this.length + more) * 2);
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }
}

/** Decodes blocks into a builder and the table of leases. */
class ItemDecoder {
  private readonly state: MvccState;
  private readonly builder: KeyIndexBuilder;
  private bytes: Buffer = Buffer.alloc(0);
  private at = 0;

  constructor(state: MvccState, builder: KeyIndexBuilder) {
    this.state = state;
    this.builder = builder;
  }

  decode(block: Buffer): void {
    this.bytes = block;
    this.at = 0;
    while (this.at < block.length) this.item();
  }

  private item(): void {
    const length = this.number();
    const key = this.bytes.toString('latin1', this.at, this.at + length);
    this.at += length;
    const flags = this.number();
    const item = new KeyItem(this.number(), this.number(), 0, noLocation);
    item.created = this.number();
    item.version = this.number();
    item.bytes = this.number();
    item.dead = (flags & flagDead) !== 0;
    if ((flags & flagLease) !== 0) {
      this.state.leases.set(key, this.bytes.readBigInt64LE(this.at));
      this.at += 8;
    }
    if ((flags & flagHistory) !== 0) this.history(item);
    this.builder.add(key, item);
  }

  private history(item: KeyItem): void {
    const revisions = this.list();
    const closed: ClosedGeneration[] = [];
    for (let n = this.number(); n > 0; n -= 1) {
      closed.push({ created: this.number(), version: this.number(), revisions: this.list() });
    }
    item.history = { revisions, closed };
  }

  private list(): RevisionList {
    const length = this.number();
    const list: RevisionList = [];
    for (let i = 0; i < length; i += 1) list.push(this.number());
    return list;
  }

  private number(): number {
    let result = 0;
    let scale = 1;
    for (;;) {
      const byte = this.bytes[this.at] as number;
      this.at += 1;
      if (byte < 0x80) return result + byte * scale;
      result += (byte & 0x7f) * scale;
      scale *= 128;
    }
  }
}
