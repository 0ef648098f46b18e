/**
 * What is on a simulated disk, in two versions at once: what programs see, and what power loss
 * leaves. Between the two stand the changes that no sync has covered yet, each of which a crash
 * may keep, lose or tear. Pessimistic on purpose: changes of names are kept or lost one by one, as
 * POSIX allows, though most file systems keep them in order (L-38).
 */

import { assert } from '../common/index.js';
import type { SimRandom } from './random.js';

/** How a crash treats what was not synced. */
export interface CrashOptions {
  /** Chance in percent that an un-synced change survives: 0 loses them all, 100 keeps them all. */
  readonly unsyncedPercent: number;
  /** Surviving writes may be cut into pieces of whole sectors, of which again only some survive. */
  readonly tornWrites: boolean;
}

/** Bytes that grow as needed and read as zero where nothing was written. */
class Bytes {
  #buffer: Buffer;
  size: number;

  constructor(content: Uint8Array) {
    this.#buffer = Buffer.from(content);
    this.size = content.length;
  }

  get content(): Buffer {
    return this.#buffer.subarray(0, this.size);
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > this.size) this.resize(end);
    this.#buffer.set(bytes, offset);
  }

  resize(size: number): void {
    if (size > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(size, 2 * this.#buffer.length));
      this.#buffer.copy(grown, 0, 0, this.size);
      this.#buffer = grown;
    } else if (size < this.size) {
      this.#buffer.fill(0, size, this.size);
    }
    this.size = size;
  }
}

interface WriteChange {
  readonly type: 'write';
  readonly offset: number;
  readonly bytes: Buffer;
  /** Written with O_DSYNC, and completed: survives whatever becomes of those before it. */
  isDurable: boolean;
}
interface TruncateChange {
  readonly type: 'truncate';
  readonly size: number;
  isDurable: boolean;
}
/** A change of a file that a sync has yet to cover. */
export type FileChange = WriteChange | TruncateChange;

/** A file: what readers see, what is durable, and what lies in between. */
export class ImageFile {
  readonly type = 'file';
  readonly #seen: Bytes;
  readonly #durable: Bytes;
  readonly #changes: FileChange[] = [];

  constructor(content: Uint8Array) {
    this.#seen = new Bytes(content);
    this.#durable = new Bytes(content);
  }

  get size(): number {
    return this.#seen.size;
  }

  /** What programs read; borrowed. */
  get seen(): Buffer {
    return this.#seen.content;
  }

  /** What survives at least; borrowed. */
  get durable(): Buffer {
    return this.#durable.content;
  }

  /** Copies `bytes`. */
  write(offset: number, bytes: Uint8Array): FileChange {
    this.#seen.write(offset, bytes);
    const change: FileChange = {
      type: 'write',
      offset,
      bytes: Buffer.from(bytes),
      isDurable: false,
    };
    this.#changes.push(change);
    return change;
  }

  truncate(size: number): FileChange {
    this.#seen.resize(size);
    const change: FileChange = { type: 'truncate', size, isDurable: false };
    this.#changes.push(change);
    return change;
  }

  /** The changes that a sync starting now will cover. */
  unsynced(): readonly FileChange[] {
    return this.#changes.slice();
  }

  /** A sync of `changes` succeeded. */
  settle(changes: readonly FileChange[]): void {
    for (const change of changes) change.isDurable = true;
    let count = 0;
    for (const change of this.#changes) {
      if (!change.isDurable) break;
      applyChange(this.#durable, change);
      count += 1;
    }
    this.#changes.splice(0, count);
  }

  /**
   * A sync of `changes` failed: each of them is on the disk or it never will be, and readers still
   * see all of it: the pages count as clean (L-31).
   */
  settleFailed(changes: readonly FileChange[], random: SimRandom): void {
    for (const change of changes) {
      if (change.isDurable) continue;
      const at = this.#changes.indexOf(change);
      if (at >= 0 && random.chance(0.5)) this.#changes.splice(at, 1);
    }
    this.settle(changes);
  }

  /** Changes what is at rest, un-synced changes included. */
  damage(offset: number, change: (byte: number) => number): void {
    assert(offset < this.#seen.size, 'damage lies behind the end of the file');
    const before = this.#seen.content[offset] ?? 0;
    this.#seen.write(offset, Uint8Array.of(change(before)));
    if (offset < this.#durable.size) {
      const durable = this.#durable.content[offset] ?? 0;
      this.#durable.write(offset, Uint8Array.of(change(durable)));
    }
  }

  afterCrash(options: CrashOptions, random: SimRandom): ImageFile {
    const result = new Bytes(this.#durable.content);
    for (const change of this.#changes) {
      if (change.isDurable) applyChange(result, change);
      else if (survives(options, random)) applyTorn(result, change, options, random);
    }
    return new ImageFile(result.content);
  }
}

/** A change of names that a sync of the directory has yet to cover; applies as a whole or not. */
export type DirChange = ReadonlyArray<readonly [name: string, node: ImageNode | undefined]>;

/** A directory: names as programs see them and as power loss leaves them. */
export class ImageDir {
  readonly type = 'directory';
  readonly entries: Map<string, ImageNode>;
  readonly #durable: Map<string, ImageNode>;
  #changes: DirChange[] = [];

  constructor(entries: ReadonlyMap<string, ImageNode>) {
    this.entries = new Map(entries);
    this.#durable = new Map(entries);
  }

  change(change: DirChange): void {
    applyNames(this.entries, change);
    this.#changes.push(change);
  }

  unsynced(): readonly DirChange[] {
    return this.#changes.slice();
  }

  settle(changes: readonly DirChange[]): void {
    for (const change of changes) applyNames(this.#durable, change);
    this.#changes = this.#changes.filter((change) => !changes.includes(change));
  }

  afterCrash(options: CrashOptions, random: SimRandom): ImageDir {
    const names = new Map(this.#durable);
    for (const change of this.#changes) {
      if (survives(options, random)) applyNames(names, change);
    }
    const result = new Map<string, ImageNode>();
    // Sorted, so that the order in which names were made does not change what random numbers do.
    for (const name of [...names.keys()].sort()) {
      const node = names.get(name);
      if (node !== undefined) result.set(name, node.afterCrash(options, random));
    }
    return new ImageDir(result);
  }
}

/** What a name stands for. */
export type ImageNode = ImageFile | ImageDir;

function survives(options: CrashOptions, random: SimRandom): boolean {
  return random.float() * 100 < options.unsyncedPercent;
}

function applyNames(names: Map<string, ImageNode>, change: DirChange): void {
  for (const [name, node] of change) {
    if (node === undefined) names.delete(name);
    else names.set(name, node);
  }
}

function applyChange(bytes: Bytes, change: FileChange): void {
  if (change.type === 'write') bytes.write(change.offset, change.bytes);
  else bytes.resize(change.size);
}

/** What a disk writes whole or not at all. */
const sectorBytes = 512;

/** The last place at or before `to` up to which a write from `from` on may come to an end. */
export function sectorCut(from: number, to: number): number {
  return Math.max(from, to - (to % sectorBytes));
}

/** Applies a write whole, or in pieces, cut where sectors begin, some of which are lost. */
function applyTorn(
  bytes: Bytes,
  change: FileChange,
  options: CrashOptions,
  random: SimRandom,
): void {
  if (change.type !== 'write' || !options.tornWrites || random.chance(0.25)) {
    applyChange(bytes, change);
    return;
  }
  const { offset } = change;
  const end = offset + change.bytes.length;
  const cuts = [offset, end];
  for (let i = random.between(1, 4); i > 0; i--) {
    cuts.push(sectorCut(offset, offset + random.below(change.bytes.length + 1)));
  }
  cuts.sort((a, b) => a - b);
  for (let i = 1; i < cuts.length; i++) {
    const [from, to] = [cuts[i - 1] ?? 0, cuts[i] ?? 0];
    if (random.chance(0.5)) bytes.write(from, change.bytes.subarray(from - offset, to - offset));
  }
}
