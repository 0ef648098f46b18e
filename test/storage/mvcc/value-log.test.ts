/** What of the records is in memory: never too little, never too much, and what is in use. */

import { describe, expect, it } from 'vitest';
import { SimRandom } from '../../../src/sim/index.js';
import {
  itemDelete,
  KeyIndex,
  type KeyItem,
  noLocation,
} from '../../../src/storage/index/index.js';
import { ValueLog } from '../../../src/storage/mvcc/value-log.js';
import {
  decodeRecord,
  encodeRecord,
  recordOverheadBytes,
  recordSize,
  writeRecord,
} from '../../../src/storage/schema/index.js';

const mebibyte = 1024 * 1024;
/** What may be there above the bound: chunks that are being written to, or are on their way out. */
const slackBytes = 3 * mebibyte;

/** A value log with an index, and what has been written, as the store has them. */
class Memory {
  readonly index = new KeyIndex();
  readonly log: ValueLog;
  /** The newest record of each key that lives. */
  readonly records = new Map<string, Buffer>();
  revision = 1;
  /** Records that were about to get another place. */
  moves = 0;

  constructor(bytesMax: number) {
    this.log = new ValueLog(bytesMax, (key) => {
      this.moves += 1;
      return this.index.get(key);
    });
  }

  put(key: string, value: Uint8Array): void {
    this.revision += 1;
    const { index, log, revision } = this;
    const item = index.locate(key);
    const isAlive = item !== undefined && !item.dead;
    if (isAlive) log.superseded(item.location, item.bytes);
    const created = isAlive ? item.created : revision;
    const version = isAlive ? item.version + 1 : 1;
    const size = recordSize(key.length, created, revision, version, value.length, 0n);
    const location = log.add(revision, 0, false, size);
    writeRecord(log.buffer, log.offset, key, created, revision, version, value, 0n);
    index.putHere(key, revision, 0, size + recordOverheadBytes, location);
    const fields = { key, createRevision: created, modRevision: revision, version, value };
    this.records.set(key, encodeRecord({ ...fields, lease: 0n }));
  }

  delete(key: string): void {
    const { index, log } = this;
    const item = index.locate(key);
    if (item === undefined || item.dead) return;
    this.revision += 1;
    log.superseded(item.location, item.bytes);
    const size = recordSize(key.length, 0, 0, 0, 0, 0n);
    log.add(this.revision, 0, true, size);
    writeRecord(log.buffer, log.offset, key, 0, 0, 0, Buffer.alloc(0), 0n);
    itemDelete(item, this.revision, 0, size + recordOverheadBytes);
    index.diedHere(key, this.revision);
    this.records.delete(key);
  }

  item(key: string): KeyItem {
    const item = this.index.get(key);
    if (item === undefined) throw new Error(`${key} is not there`);
    return item;
  }

  isWarm(key: string): boolean {
    return this.log.has(this.item(key).location);
  }

  /** As a read of one key: what is not in memory is brought there, if the log wants it. */
  read(key: string): void {
    const item = this.item(key);
    if (this.log.has(item.location)) this.log.use(item.location);
    else if (this.log.wantsKept(item.main, item.sub)) this.bringIn(key);
  }

  bringIn(key: string): void {
    const item = this.item(key);
    const record = this.records.get(key);
    if (record === undefined) throw new Error(`${key} does not live`);
    if (!this.log.has(item.location)) item.location = this.log.keep(item.main, item.sub, record);
  }

  store(): void {
    this.log.stored(this.log.end);
  }

  /** Turns of evicting until there is nothing more to do. */
  evict(): number {
    let turns = 1;
    while (this.log.evict()) turns += 1;
    return turns;
  }

  /** Every location leads to the record of its key, or to nothing. */
  check(): void {
    const wrong = [...this.records].filter(([key, record]) => {
      const { location } = this.item(key);
      return this.log.has(location) && !this.log.record(location).equals(record);
    });
    expect(wrong).toEqual([]);
    const { log } = this;
    for (let p = log.storedEnd; p < log.end; p += 1) {
      if (log.sealedAt(p).key[0] !== 0x6b) throw new Error('what is not stored is gone');
    }
  }
}

function some(random: SimRandom, bytesMax: number): Buffer {
  return Buffer.alloc(random.below(bytesMax), random.below(256));
}

describe('the value log', () => {
  it('has what the index says, through any order of changes, reads and evictions', () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const random = new SimRandom(seed);
      const bytesMax = random.below(5) * mebibyte;
      const memory = new Memory(bytesMax);
      const valueBytesMax = [200, 3000, 10_000, 30_000, 1_200_000][random.below(5)] as number;
      const keys = 1 + random.below(600);
      const key = (): string => `key-${random.below(keys)}`;
      let held = false;
      for (let step = 0; step < 2000; step += 1) {
        const what = random.below(100);
        if (what < 40) memory.put(key(), some(random, valueBytesMax));
        else if (what < 45) memory.delete(key());
        else if (what < 85) {
          const wanted = key();
          if (memory.records.has(wanted)) memory.read(wanted);
        } else if (what < 93 && !held) {
          memory.store();
          memory.log.evict();
        } else if (what < 97 && !held) {
          memory.store();
          memory.evict();
          expect(memory.log.allocatedBytes).toBeLessThanOrEqual(bytesMax + slackBytes);
        } else if (what < 98) {
          memory.log.hold();
          held = true;
        } else {
          memory.log.letGo();
          held = false;
        }
        if (step % 100 === 0) memory.check();
      }
      memory.check();
    }
  });

  it('lets nothing go that is not stored, or is held', () => {
    const memory = new Memory(2 * mebibyte);
    const value = Buffer.alloc(3000, 1);
    for (let i = 0; i < 3000; i += 1) memory.put(`key-${i}`, value);
    expect(memory.evict()).toBe(1);
    for (let i = 0; i < 3000; i += 1) expect(memory.isWarm(`key-${i}`)).toBe(true);
    memory.log.hold();
    memory.store();
    expect(memory.evict()).toBe(1);
    for (let i = 0; i < 3000; i += 1) expect(memory.isWarm(`key-${i}`)).toBe(true);
    memory.log.letGo();
    memory.evict();
    expect(memory.log.allocatedBytes).toBeLessThanOrEqual(2 * mebibyte + slackBytes);
    expect(memory.isWarm('key-0')).toBe(false);
  });

  it('keeps all that is current as long as there is room, and nothing of the past', () => {
    const memory = new Memory(16 * mebibyte);
    const value = Buffer.alloc(3000, 1);
    for (let i = 0; i < 1000; i += 1) memory.put(`key-${i}`, value);
    // 60 MB over a few of them.
    for (let i = 0; i < 20_000; i += 1) {
      memory.put(`key-${i % 50}`, value);
      if (i % 100 !== 0) continue;
      memory.store();
      memory.evict();
    }
    for (let i = 0; i < 1000; i += 1) expect(memory.isWarm(`key-${i}`)).toBe(true);
    expect(memory.log.allocatedBytes).toBeLessThan(14 * mebibyte);
    memory.check();
  });

  it('forgets what is replaced later, too: half empty chunks are put together', () => {
    const memory = new Memory(64 * mebibyte);
    const value = Buffer.alloc(3000, 1);
    for (let i = 0; i < 10_000; i += 1) memory.put(`key-${i}`, value);
    for (let n = 0; n < 3; n += 1) {
      for (let i = 0; i < 10_000; i += 1) {
        if (i % 3 === 0) continue;
        memory.delete(`key-${i}`);
        memory.put(`key-${i}`, Buffer.alloc(0));
      }
      memory.store();
      memory.evict();
    }
    // 3,333 of 3 kB are left, beside the log of half as much as the bound.
    for (let i = 0; i < 10_000; i += 3) expect(memory.isWarm(`key-${i}`)).toBe(true);
    expect(memory.log.allocatedBytes).toBeLessThan(56 * mebibyte);
    memory.check();
  });

  it('keeps what is in use when all sorts of things go by, and scans do not count as use', () => {
    const memory = new Memory(8 * mebibyte);
    const value = Buffer.alloc(3000, 1);
    for (let i = 0; i < 20_000; i += 1) {
      memory.put(`key-${i}`, value);
      if (i % 1000 === 0) memory.store();
      if (i % 1000 === 0) memory.evict();
    }
    const inUse = Array.from({ length: 500 }, (_, i) => `key-${i * 37}`);
    const scanned = Array.from({ length: 500 }, (_, i) => `key-${i * 37 + 1}`);
    for (const key of [...inUse, ...scanned]) memory.bringIn(key);
    const random = new SimRandom(1);
    for (let round = 0; round < 30; round += 1) {
      for (const key of inUse) memory.read(key);
      for (const key of scanned) {
        if (memory.isWarm(key)) memory.log.record(memory.item(key).location);
      }
      // A megabyte read once, and one written.
      for (let i = 0; i < 350; i += 1) {
        memory.read(`key-${random.below(20_000)}`);
        memory.put(`other-${round}-${i}`, value);
      }
      memory.store();
      memory.evict();
    }
    const warm = inUse.filter((key) => memory.isWarm(key)).length;
    expect(warm).toBeGreaterThan(450);
    expect(scanned.filter((key) => memory.isWarm(key)).length).toBeLessThan(100);
  });

  it('makes room even if all of it is in use, and moves a share in a turn', () => {
    const memory = new Memory(2 * mebibyte);
    // The smallest records: most of them to a chunk.
    for (let i = 0; i < 80_000; i += 1) memory.put(`${i}`, Buffer.alloc(1));
    for (let i = 0; i < 80_000; i += 1) memory.read(`${i}`);
    memory.store();
    let turns = 0;
    for (let before = 0; memory.log.evict(); before = memory.moves) {
      if (memory.moves - before > 2000) throw new Error('too much at once');
      turns += 1;
    }
    expect(turns).toBeGreaterThan(3);
    expect(memory.log.allocatedBytes).toBeLessThanOrEqual(2 * mebibyte + slackBytes);
    memory.check();
  });

  it('has large values stay that are asked for, but not at any price', () => {
    const memory = new Memory(16 * mebibyte);
    const value = Buffer.alloc(1_400_000, 7);
    for (let i = 0; i < 20; i += 1) {
      memory.put(`large-${i}`, value);
      memory.store();
      memory.read('large-0');
      memory.evict();
    }
    expect(memory.isWarm('large-0')).toBe(true);
    for (let i = 0; i < 20; i += 1) memory.read(`large-${i}`);
    for (let i = 0; i < 5; i += 1) memory.put(`more-${i}`, value);
    memory.store();
    memory.evict();
    expect(memory.log.allocatedBytes).toBeLessThanOrEqual(16 * mebibyte + slackBytes);
  });

  it('gives an old record a new place before the table of places grows without bound', () => {
    const memory = new Memory(16 * mebibyte);
    memory.put('old', Buffer.alloc(900_000, 1));
    memory.put('old 2', Buffer.alloc(200_000, 1));
    const first = memory.item('old').location;
    // Each fills a chunk, and is written over: only its place in the table goes by.
    const { log } = memory;
    for (let i = 0; i < 5000; i += 1) {
      memory.revision += 1;
      log.add(memory.revision, 0, true, 1_000_000);
      memory.store();
      memory.evict();
    }
    expect(memory.isWarm('old')).toBe(true);
    expect(memory.item('old').location).not.toBe(first);
    expect(memory.item('old').location).not.toBe(noLocation);
    expect(decodeRecord(log.record(memory.item('old').location)).key).toBe('old');
  });
});
