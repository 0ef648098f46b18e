/**
 * Writes a bbolt database file, front to back, from sorted entries: the form in which etcd keeps
 * its store and sends snapshots. Whoever takes a snapshot of kvorum can look into it with etcd's
 * own tools and restore it into etcd.
 *
 * Only what a reader needs: leaf pages as the entries come, branch pages above them, an empty
 * freelist, two meta pages. All integers are little endian. Layout facts: go.etcd.io/bbolt,
 * page.go, meta.go, bucket.go.
 */

import { assert } from '../../common/index.js';
import { fnv64a, magic, PageFlag, version } from './format.js';

const pageBytes = 4096;
const pageHeaderBytes = 16;
const elementBytes = 16;
const bucketEntryFlag = 0x01;
/** Pages 0 and 1 are meta, 2 is the freelist. */
const freelistPage = 2;
const firstDataPage = 3;
/** Pages gather up to this size before they are written. */
const writeBytes = 256 * 1024;
/** A page's count is 16 bits; small entries could otherwise reach it only on overflow pages. */
const elementsMax = 0xfff0;

/** Takes the bytes of the file; offsets only grow, but for the meta pages at the very end. */
export type ImageSink = (offset: number, bytes: Buffer) => Promise<void>;

/** Key and value of a bucket entry; keys must come in ascending order. */
export type ImageEntry = readonly [key: Uint8Array, value: Uint8Array];

interface Child {
  readonly key: Uint8Array;
  readonly page: number;
}

interface Element {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Leaf: the entry's flags. Branch: unused. */
  readonly flags: number;
  /** Branch: the child. */
  readonly page: number;
}

export class BboltImage {
  readonly #sink: ImageSink;
  #nextPage = firstDataPage;
  #buffers: Buffer[] = [];
  #bufferedBytes = 0;
  #bufferStart = firstDataPage * pageBytes;
  readonly #buckets = new Map<string, number>();

  constructor(sink: ImageSink) {
    this.#sink = sink;
  }

  /** Writes a top-level bucket. */
  async addBucket(
    name: string,
    entries: AsyncIterable<ImageEntry> | Iterable<ImageEntry>,
  ): Promise<void> {
    const leaves = new Level(PageFlag.leaf, this);
    for await (const [key, value] of entries) {
      await leaves.add({ key, value, flags: 0, page: 0 });
    }
    this.#buckets.set(name, await this.#buildRoot(leaves));
  }

  /** Writes the root bucket, the freelist and the meta pages; returns the size of the file. */
  async finish(): Promise<number> {
    const roots = new Level(PageFlag.leaf, this);
    for (const name of [...this.#buckets.keys()].sort()) {
      const value = Buffer.alloc(16);
      value.writeUInt32LE(this.#buckets.get(name) ?? 0, 0);
      await roots.add({ key: Buffer.from(name), value, flags: bucketEntryFlag, page: 0 });
    }
    const root = await this.#buildRoot(roots);
    await this.#flush();
    const head = Buffer.alloc(firstDataPage * pageBytes);
    for (const txid of [0, 1]) this.#writeMeta(head, txid, root);
    writePageHeader(head, freelistPage * pageBytes, freelistPage, PageFlag.freelist, 0, 0);
    await this.#sink(0, head);
    return this.#nextPage * pageBytes;
  }

  /** Appends one page (with its overflow pages) and returns its number. */
  async appendPage(flag: number, elements: readonly Element[], bytes: number): Promise<number> {
    const page = this.#nextPage;
    const pages = Math.max(1, Math.ceil(bytes / pageBytes));
    const buffer = Buffer.alloc(pages * pageBytes);
    writePageHeader(buffer, 0, page, flag, elements.length, pages - 1);
    let data = pageHeaderBytes + elements.length * elementBytes;
    elements.forEach((element, i) => {
      const at = pageHeaderBytes + i * elementBytes;
      if (flag === PageFlag.branch) {
        buffer.writeUInt32LE(data - at, at);
        buffer.writeUInt32LE(element.key.length, at + 4);
        buffer.writeUInt32LE(element.page, at + 8);
      } else {
        buffer.writeUInt32LE(element.flags, at);
        buffer.writeUInt32LE(data - at, at + 4);
        buffer.writeUInt32LE(element.key.length, at + 8);
        buffer.writeUInt32LE(element.value.length, at + 12);
      }
      buffer.set(element.key, data);
      data += element.key.length;
      buffer.set(element.value, data);
      data += element.value.length;
    });
    assert(data <= buffer.length, 'the elements fit the page');
    this.#nextPage += pages;
    this.#buffers.push(buffer);
    this.#bufferedBytes += buffer.length;
    if (this.#bufferedBytes >= writeBytes) await this.#flush();
    return page;
  }

  async #buildRoot(leaves: Level): Promise<number> {
    let children = await leaves.end();
    while (children.length > 1) {
      const level = new Level(PageFlag.branch, this);
      for (const { key, page } of children) {
        await level.add({ key, value: new Uint8Array(), flags: 0, page });
      }
      children = await level.end();
    }
    return children[0]?.page ?? 0;
  }

  async #flush(): Promise<void> {
    if (this.#bufferedBytes === 0) return;
    const bytes = Buffer.concat(this.#buffers);
    const offset = this.#bufferStart;
    this.#buffers = [];
    this.#bufferedBytes = 0;
    this.#bufferStart += bytes.length;
    await this.#sink(offset, bytes);
  }

  #writeMeta(into: Buffer, txid: number, root: number): void {
    const page = txid * pageBytes;
    writePageHeader(into, page, txid, PageFlag.meta, 0, 0);
    const at = page + pageHeaderBytes;
    into.writeUInt32LE(magic, at);
    into.writeUInt32LE(version, at + 4);
    into.writeUInt32LE(pageBytes, at + 8);
    into.writeBigUInt64LE(BigInt(root), at + 16);
    into.writeBigUInt64LE(BigInt(freelistPage), at + 32);
    into.writeBigUInt64LE(BigInt(this.#nextPage), at + 40);
    into.writeBigUInt64LE(BigInt(txid), at + 48);
    into.writeBigUInt64LE(fnv64a(into.subarray(at, at + 56)), at + 56);
  }
}

/** Fills the pages of one level of a tree, and remembers the first key of each. */
class Level {
  readonly #flag: number;
  readonly #image: BboltImage;
  #elements: Element[] = [];
  #bytes = pageHeaderBytes;
  readonly #children: Child[] = [];
  #lastKey: Uint8Array | undefined;

  constructor(flag: number, image: BboltImage) {
    this.#flag = flag;
    this.#image = image;
  }

  async add(element: Element): Promise<void> {
    const last = this.#lastKey;
    assert(last === undefined || Buffer.compare(last, element.key) < 0, 'bucket keys ascend');
    const bytes = elementBytes + element.key.length + element.value.length;
    const full = this.#bytes + bytes > pageBytes || this.#elements.length >= elementsMax;
    if (full && this.#elements.length > 0) await this.#endPage();
    this.#elements.push(element);
    this.#bytes += bytes;
    this.#lastKey = element.key;
  }

  /** The pages of the level; one empty page if nothing was added. */
  async end(): Promise<readonly Child[]> {
    if (this.#elements.length > 0 || this.#children.length === 0) await this.#endPage();
    return this.#children;
  }

  async #endPage(): Promise<void> {
    const key = this.#elements[0]?.key ?? new Uint8Array();
    const page = await this.#image.appendPage(this.#flag, this.#elements, this.#bytes);
    this.#children.push({ key, page });
    this.#elements = [];
    this.#bytes = pageHeaderBytes;
  }
}

function writePageHeader(
  into: Buffer,
  at: number,
  page: number,
  flag: number,
  count: number,
  overflow: number,
): void {
  into.writeBigUInt64LE(BigInt(page), at);
  into.writeUInt16LE(flag, at + 8);
  into.writeUInt16LE(count, at + 10);
  into.writeUInt32LE(overflow, at + 12);
}
