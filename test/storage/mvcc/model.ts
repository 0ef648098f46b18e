/**
 * The store as one could explain it: a list of all changes, replayed for every question. Written
 * from docs/contract.md (C-1.4 to C-1.8, C-6), not from the code under test.
 */

import { crc32c } from '../../../src/common/crc32c.js';
import { encodeRecord, type RangeQuery } from '../../../src/storage/index.js';
import type { Change, Shown } from './helpers.js';

export interface Revised {
  readonly main: number;
  readonly sub: number;
  readonly key: string;
  /** Undefined: a tombstone. */
  readonly kv: Shown | undefined;
}

export type ModelError = 'COMPACTED' | 'FUTURE_REVISION';

export class Model {
  revision = 1;
  compactRevision = -1;
  /** Everything ever changed; nothing is removed from here. */
  readonly changes: Revised[] = [];
  /** What a store that has finished its compactions still has. */
  stored: Revised[] = [];
  /** What etcd keeps of each compaction, by revision: a hash, and the compaction before. */
  readonly compactionHashes = new Map<
    number,
    { readonly hash: number; readonly compactRevision: number }
  >();

  apply(changes: readonly Change[]): void {
    const main = this.revision + 1;
    let sub = 0;
    for (const change of changes) {
      const now = this.at(main);
      if (change.type === 'put') {
        const old = now.get(change.key);
        this.add({
          main,
          sub,
          key: change.key,
          kv: {
            key: change.key,
            createRevision: old?.createRevision ?? main,
            modRevision: main,
            version: (old?.version ?? 0) + 1,
            value: change.value,
            lease: change.lease ?? 0n,
          },
        });
        sub += 1;
        continue;
      }
      for (const key of [...now.keys()].sort(byteOrder)) {
        if (!inRange(key, change.key, change.end ?? '')) continue;
        this.add({ main, sub, key, kv: undefined });
        sub += 1;
      }
    }
    if (sub > 0) this.revision = main;
  }

  compact(revision: number): ModelError | undefined {
    if (revision <= this.compactRevision) return 'COMPACTED';
    if (revision > this.revision) return 'FUTURE_REVISION';
    const previous = this.compactRevision;
    const hash = this.hash(
      revision,
      this.stored.some((r) => r.main === revision),
    );
    this.compactionHashes.set(revision, { hash, compactRevision: previous });
    this.compactRevision = revision;
    const newest = new Map<string, Revised>();
    for (const r of this.stored) if (r.main <= revision) newest.set(r.key, r);
    this.stored = this.stored.filter((r) => {
      if (r.main > revision) return true;
      if (newest.get(r.key) !== r) return false;
      return r.kv !== undefined || r.main === revision;
    });
    return undefined;
  }

  /** Living keys at a revision. */
  at(main: number, sub = Number.POSITIVE_INFINITY): Map<string, Shown> {
    const result = new Map<string, Shown>();
    for (const r of this.changes) {
      if (r.main > main || (r.main === main && r.sub >= sub)) break;
      if (r.kv === undefined) result.delete(r.key);
      else result.set(r.key, r.kv);
    }
    return result;
  }

  range(q: RangeQuery, main: number, sub = Number.POSITIVE_INFINITY) {
    const living = [...this.at(main, sub).values()]
      .filter((kv) => inRange(kv.key, q.key, q.rangeEnd))
      .sort((a, b) => byteOrder(a.key, b.key));
    const count = living.length;
    if (q.countOnly) return { kvs: [], more: false, count };
    const filtered =
      q.minModRevision + q.maxModRevision + q.minCreateRevision + q.maxCreateRevision > 0;
    let kvs = living;
    const limitsFirst = q.limit > 0 && q.sortOrder === 0 && !filtered;
    if (limitsFirst) kvs = kvs.slice(0, q.limit + 1);
    if (q.maxModRevision > 0) kvs = kvs.filter((kv) => kv.modRevision <= q.maxModRevision);
    if (q.minModRevision > 0) kvs = kvs.filter((kv) => kv.modRevision >= q.minModRevision);
    if (q.maxCreateRevision > 0) kvs = kvs.filter((kv) => kv.createRevision <= q.maxCreateRevision);
    if (q.minCreateRevision > 0) kvs = kvs.filter((kv) => kv.createRevision >= q.minCreateRevision);
    kvs = kvs.slice().sort((a, b) => {
      const order = compareBy(q.sortTarget, a, b);
      return q.sortOrder === 2 ? -order : order;
    });
    const more = q.limit > 0 && kvs.length > q.limit;
    if (more) kvs = kvs.slice(0, q.limit);
    if (q.keysOnly) {
      kvs = kvs.map((kv) => ({ ...kv, value: '', lease: q.sortTarget === 4 ? kv.lease : 0n }));
    }
    return { kvs, more, count };
  }

  history(from: number): Revised[] {
    return this.changes.filter((r) => r.main >= from);
  }

  /**
   * etcd's HashKV, by its definition, of a store that has finished its compactions; `keeps`: there
   * are more to keep than what lives.
   */
  hash(revision: number, keeps = false): number {
    const keep = new Set<string>();
    const living = this.at(revision);
    for (const r of this.changes) {
      const kv = living.get(r.key);
      if (r.main <= revision && r.kv !== undefined && r.kv === kv) keep.add(`${r.main}.${r.sub}`);
    }
    let hash = crc32c(Buffer.from('key'));
    for (const r of this.stored) {
      if (r.main > revision) break;
      const isKept = keep.has(`${r.main}.${r.sub}`) || (keep.size === 0 && !keeps);
      if (r.main <= this.compactRevision && !isKept) continue;
      if (r.kv === undefined && r.main === this.compactRevision) continue;
      hash = crc32c(this.bytesOf(r), crc32c(etcdKey(r), hash));
    }
    return hash;
  }

  bytesOf(r: Revised): Buffer {
    const none = { createRevision: 0, modRevision: 0, version: 0, lease: 0n, value: '' };
    const { value, ...kv } = r.kv ?? { key: r.key, ...none };
    return encodeRecord({ ...kv, value: Buffer.from(value, 'latin1') });
  }

  private add(r: Revised): void {
    this.changes.push(r);
    this.stored.push(r);
  }
}

function etcdKey(r: Revised): Buffer {
  const key = Buffer.alloc(r.kv === undefined ? 18 : 17);
  key.writeBigUInt64BE(BigInt(r.main), 0);
  key.write('_', 8);
  key.writeBigUInt64BE(BigInt(r.sub), 9);
  if (r.kv === undefined) key.write('t', 17);
  return key;
}

function inRange(key: string, start: string, end: string): boolean {
  if (end === '') return key === start;
  return key >= start && (end === '\0' || key < end);
}

function byteOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'));
}

/** By the target; ties, which etcd leaves unordered, as the store under test: by key. */
function compareBy(target: number, a: Shown, b: Shown): number {
  switch (target) {
    case 0:
      return byteOrder(a.key, b.key);
    case 1:
      return a.version - b.version;
    case 2:
      return a.createRevision - b.createRevision;
    case 3:
      return a.modRevision - b.modRevision;
    default:
      return byteOrder(a.value, b.value);
  }
}
