/**
 * Reads a bbolt database file: the form in which etcd keeps its store and sends snapshots. What is
 * read is checked before it is believed: meta pages by their checksum, everything else by bounds,
 * kinds and order, so that a damaged file ends in a StorageError with an offset, never in endless
 * work or memory: a few blocks of the file and one slice of entries. The file must not change
 * meanwhile, as that of a running etcd does. The freelist is not needed. Layout facts:
 * go.etcd.io/bbolt, page.go, meta.go, bucket.go; see bbolt/image.ts for the other direction.
 */

import { bboltElementBytesMax, type DiskFile, StorageError } from '../../common/index.js';
import { fnv64a, magic, PageFlag, version } from './format.js';

/** One entry of a bucket. Key and value are views of larger buffers: copy what is to be kept. */
export interface BboltEntry {
  readonly key: Buffer;
  readonly value: Buffer;
  /** Where it is in the file, for messages. */
  readonly offset: number;
}

const metaBytes = 64;
const pageHeaderBytes = 16;
const elementBytes = 16;
const bucketHeaderBytes = 16;
const bucketEntryFlag = 0x01;
/** What bbolt accepts: from the smallest page there is to 64 KiB. */
const pageSizes: readonly number[] = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
/** With two children a page, more pages than any disk has. */
const depthMax = 64;
const blockBytes = 32 * 1024;
const cacheBlocks = 128;
/** A slice ends with the entry that reaches this. */
const sliceBytes = 256 * 1024;
const remedy = 'The file is damaged or no snapshot: take another copy of it, or another snapshot.';

/**
 * Opens the database in the first `sizeBytes` of `file`. `path` is for messages. StorageError if it
 * is not one.
 */
export async function openBbolt(
  file: DiskFile,
  path: string,
  sizeBytes: number,
): Promise<BboltReader> {
  const blocks = new Blocks(file, path, sizeBytes);
  const meta = await findMeta(blocks);
  const buckets = new Map<string, NodeRef>();
  const root: NodeRef = pageRef(meta, meta.root);
  for await (const slice of walk(blocks, meta, root, bucketEntryFlag)) {
    for (const { key, value, offset } of slice) {
      buckets.set(key.toString('latin1'), bucketRef(blocks, meta, value, offset + key.length));
    }
  }
  return {
    buckets: [...buckets.keys()],
    sizeBytes: meta.end * meta.pageSize,
    slices(name) {
      const ref = buckets.get(name);
      return ref === undefined ? noSlices() : walk(blocks, meta, ref, 0);
    },
  };
}

export interface BboltReader {
  /** Names of the top-level buckets. */
  readonly buckets: readonly string[];
  /** Of all pages in use; there may be something behind them. */
  readonly sizeBytes: number;
  /**
   * The entries of a bucket in key order, in slices of bounded size; none if there is no such
   * bucket. Throws StorageError at the first thing that is not as it must be.
   */
  slices(bucket: string): AsyncIterable<readonly BboltEntry[]>;
}

async function* noSlices(): AsyncIterable<readonly BboltEntry[]> {}

// --------------------------------------------------------------------------------------- meta

interface Meta {
  readonly pageSize: number;
  readonly root: number;
  /** Pages in use have lower numbers. */
  readonly end: number;
  readonly transaction: bigint;
}

/** The newer one of the two that are whole. */
async function findMeta(blocks: Blocks): Promise<Meta> {
  const first = await readMeta(blocks, 0);
  const found = first === undefined ? [] : [first];
  // The second begins where the first says, or wherever it is if that is gone.
  const sizes = first === undefined ? pageSizes : [first.pageSize];
  for (const size of sizes) {
    const second = await readMeta(blocks, size);
    if (second !== undefined && second.pageSize === size) found.push(second);
  }
  const newest = found.reduce<Meta | undefined>(
    (best, one) => (best === undefined || one.transaction > best.transaction ? one : best),
    undefined,
  );
  if (newest === undefined) throw blocks.damage('it has no valid meta page', 0);
  const needed = newest.end * newest.pageSize;
  if (needed > blocks.sizeBytes) {
    throw blocks.damage(`it should have ${needed} bytes, and ends early`, blocks.sizeBytes);
  }
  return newest;
}

/** Undefined if there is none at `page`. */
async function readMeta(blocks: Blocks, page: number): Promise<Meta | undefined> {
  const at = page + pageHeaderBytes;
  if (at + metaBytes > blocks.sizeBytes) return undefined;
  const bytes = await blocks.read(at, metaBytes);
  if (bytes.readUInt32LE(0) !== magic || bytes.readUInt32LE(4) !== version) return undefined;
  if (bytes.readBigUInt64LE(56) !== fnv64a(bytes.subarray(0, 56))) return undefined;
  const pageSize = bytes.readUInt32LE(8);
  const root = Number(bytes.readBigUInt64LE(16));
  const end = Number(bytes.readBigUInt64LE(40));
  if (!pageSizes.includes(pageSize)) return undefined;
  if (root >= end || end > Number.MAX_SAFE_INTEGER / pageSize) return undefined;
  return { pageSize, root, end, transaction: bytes.readBigUInt64LE(48) };
}

// --------------------------------------------------------------------------------------- pages

/** Where a page is: in the file, or inside the value of a bucket that is small. */
interface NodeRef {
  readonly offset: number;
  /** Its number; undefined for one inside a value. */
  readonly page: number | undefined;
  /** Bytes there are for it; undefined: its header says. */
  readonly bytesMax: number | undefined;
}

function pageRef({ pageSize }: Meta, page: number): NodeRef {
  return { offset: page * pageSize, page, bytesMax: undefined };
}

/** The root page of a bucket from its entry. */
function bucketRef(blocks: Blocks, meta: Meta, value: Buffer, valueOffset: number): NodeRef {
  if (value.length < bucketHeaderBytes) throw blocks.damage('a bucket has no root', valueOffset);
  const root = Number(value.readBigUInt64LE(0));
  if (root === 0) {
    return {
      offset: valueOffset + bucketHeaderBytes,
      page: undefined,
      bytesMax: value.length - bucketHeaderBytes,
    };
  }
  if (root >= meta.end) throw blocks.damage('a bucket points behind the last page', valueOffset);
  return pageRef(meta, root);
}

/** A page whose header and table of elements have been checked. */
interface OpenPage {
  readonly offset: number;
  readonly end: number;
  readonly isLeaf: boolean;
  readonly count: number;
  readonly table: Buffer;
  /** The next element. */
  next: number;
}

async function openPage(blocks: Blocks, meta: Meta, ref: NodeRef): Promise<OpenPage> {
  const { offset } = ref;
  const roomBytes = ref.bytesMax ?? meta.pageSize;
  if (roomBytes < pageHeaderBytes) throw blocks.damage('a page has no room for itself', offset);
  const head = await blocks.read(offset, pageHeaderBytes);
  const flags = head.readUInt16LE(8);
  const count = head.readUInt16LE(10);
  const overflow = head.readUInt32LE(12);
  const isLeaf = flags === PageFlag.leaf;
  if (!isLeaf && flags !== PageFlag.branch) {
    throw blocks.damage(`a page is of kind ${flags}, not a branch or a leaf`, offset);
  }
  if (ref.page !== undefined && head.readBigUInt64LE(0) !== BigInt(ref.page)) {
    throw blocks.damage(`page ${ref.page} says that it is another one`, offset);
  }
  const bytes = ref.bytesMax ?? (1 + overflow) * meta.pageSize;
  const end = offset + bytes;
  if (ref.page !== undefined && ref.page + 1 + overflow > meta.end) {
    throw blocks.damage('a page goes on behind the last one', offset);
  }
  if (count === 0 && !isLeaf) throw blocks.damage('a branch is empty', offset);
  const tableBytes = count * elementBytes;
  if (pageHeaderBytes + tableBytes > bytes) {
    throw blocks.damage(`a page has no room for ${count} elements`, offset);
  }
  const table = await blocks.read(offset + pageHeaderBytes, tableBytes);
  return { offset, end, isLeaf, count, table, next: 0 };
}

// ---------------------------------------------------------------------------------------- walk

/** The entries below `root`, all of which must have `flags`. */
async function* walk(
  blocks: Blocks,
  meta: Meta,
  root: NodeRef,
  flags: number,
): AsyncIterable<readonly BboltEntry[]> {
  const open = [await openPage(blocks, meta, root)];
  let lastKey: Buffer | undefined;
  let slice: BboltEntry[] = [];
  let bytes = 0;
  for (let page = open.at(-1); page !== undefined; page = open.at(-1)) {
    if (page.next === page.count) {
      open.pop();
      continue;
    }
    const at = page.next++ * elementBytes;
    if (!page.isLeaf) {
      const child = Number(page.table.readBigUInt64LE(at + 8));
      // A page that is met twice has keys out of order; only circles of branches have none.
      if (child >= meta.end || open.length >= depthMax) {
        throw blocks.damage(`a branch points to page ${child}`, page.offset);
      }
      const below = await openPage(blocks, meta, pageRef(meta, child));
      if (below.count === 0) throw blocks.damage('a page below a branch is empty', below.offset);
      open.push(below);
      continue;
    }
    const entry = leafEntry(blocks, page, at, flags);
    const found = entry instanceof Promise ? await entry : entry;
    if (lastKey !== undefined && Buffer.compare(lastKey, found.key) >= 0) {
      throw blocks.damage('its keys are not in order', found.offset);
    }
    lastKey = found.key;
    slice.push(found);
    bytes += found.key.length + found.value.length;
    if (bytes < sliceBytes) continue;
    yield slice;
    // A copy: the slice must not stay in memory for its last key.
    lastKey = Buffer.from(lastKey);
    slice = [];
    bytes = 0;
  }
  if (slice.length > 0) yield slice;
}

/** The entry of a leaf's element; at once if its bytes are in memory, as those of most are. */
function leafEntry(
  blocks: Blocks,
  page: OpenPage,
  at: number,
  flags: number,
): BboltEntry | Promise<BboltEntry> {
  const { table } = page;
  const element = page.offset + pageHeaderBytes + at;
  const offset = element + table.readUInt32LE(at + 4);
  const keyBytes = table.readUInt32LE(at + 8);
  const valueBytes = table.readUInt32LE(at + 12);
  if (table.readUInt32LE(at) !== flags) {
    throw blocks.damage(`an entry has flags ${table.readUInt32LE(at)}`, element);
  }
  const dataStart = page.offset + pageHeaderBytes + page.table.length;
  const length = keyBytes + valueBytes;
  if (keyBytes === 0 || offset < dataStart || offset + length > page.end) {
    throw blocks.damage('an entry lies outside of its page', element);
  }
  if (length > bboltElementBytesMax) {
    throw blocks.damage(`an entry has ${length} bytes`, element);
  }
  const split = (bytes: Buffer): BboltEntry => ({
    key: bytes.subarray(0, keyBytes),
    value: bytes.subarray(keyBytes),
    offset,
  });
  const bytes = blocks.peek(offset, length);
  return bytes === undefined ? blocks.read(offset, length).then(split) : split(bytes);
}

// ---------------------------------------------------------------------------------------- file

/** The file, and the blocks of it that were read last. */
class Blocks {
  readonly sizeBytes: number;
  readonly #file: DiskFile;
  readonly #path: string;
  /** By number; the one read first comes first. */
  readonly #blocks = new Map<number, Buffer>();

  constructor(file: DiskFile, path: string, sizeBytes: number) {
    this.#file = file;
    this.#path = path;
    this.sizeBytes = sizeBytes;
  }

  damage(what: string, offset: number): StorageError {
    const message = `the snapshot can't be read: ${what}`;
    return new StorageError(message, { path: this.#path, offset, remedy });
  }

  /** A view of a block that was read; undefined: not in memory. */
  peek(offset: number, length: number): Buffer | undefined {
    const number = Math.floor(offset / blockBytes);
    const block = this.#blocks.get(number);
    const start = offset - number * blockBytes;
    if (block === undefined || start + length > block.length) return undefined;
    return block.subarray(start, start + length);
  }

  /** Exactly `length` bytes. What spans blocks is read by itself. */
  async read(offset: number, length: number): Promise<Buffer> {
    const found = this.peek(offset, length);
    if (found !== undefined) return found;
    if (offset + length > this.sizeBytes) throw this.damage('the file ends early', offset);
    const number = Math.floor(offset / blockBytes);
    const start = offset - number * blockBytes;
    if (start + length > blockBytes) return this.#readWhole(offset, length);
    if (!this.#blocks.has(number)) {
      const from = number * blockBytes;
      const bytes = await this.#readWhole(from, Math.min(blockBytes, this.sizeBytes - from));
      const [oldest] = this.#blocks.keys();
      if (this.#blocks.size >= cacheBlocks && oldest !== undefined) this.#blocks.delete(oldest);
      this.#blocks.set(number, bytes);
    }
    const bytes = this.peek(offset, length);
    if (bytes === undefined) throw this.damage('the file ends early', offset);
    return bytes;
  }

  async #readWhole(offset: number, length: number): Promise<Buffer> {
    const bytes = await this.#file.read(offset, length);
    if (bytes.length !== length) throw this.damage('the file ends early', offset);
    return bytes;
  }
}
