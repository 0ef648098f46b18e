import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DiskFile, StorageError } from '../../src/common/index.js';
import { BboltImage, type ImageEntry } from '../../src/storage/bbolt/image.js';
import { openBbolt } from '../../src/storage/bbolt/reader.js';

const pageSize = 4096;

/** A file in memory that counts what is read of it. */
class MemoryFile implements DiskFile {
  bytesRead = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  async read(offset: number, length: number): Promise<Buffer> {
    const bytes = this.#bytes.subarray(offset, offset + length);
    this.bytesRead += bytes.length;
    return Buffer.from(bytes);
  }
  async size(): Promise<number> {
    return this.#bytes.length;
  }
  write = refuse;
  writeDurable = refuse;
  sync = refuse;
  truncate = refuse;
  async close(): Promise<void> {}
}

async function refuse(): Promise<never> {
  throw new Error('a snapshot is only read');
}

async function imageOf(buckets: ReadonlyMap<string, readonly ImageEntry[]>): Promise<Buffer> {
  const pieces: Array<{ offset: number; bytes: Buffer }> = [];
  const image = new BboltImage(async (offset, bytes) => {
    pieces.push({ offset, bytes });
  });
  for (const [name, entries] of buckets) await image.addBucket(name, entries);
  const file = Buffer.alloc(await image.finish());
  for (const { offset, bytes } of pieces) bytes.copy(file, offset);
  return file;
}

type Contents = Record<string, ReadonlyArray<readonly [string, string]>>;

async function readAll(bytes: Buffer, file = new MemoryFile(bytes)): Promise<Contents> {
  const reader = await openBbolt(file, '/backup.db', bytes.length);
  const contents: Record<string, Array<readonly [string, string]>> = {};
  for (const name of reader.buckets) {
    const entries: Array<readonly [string, string]> = [];
    contents[name] = entries;
    for await (const slice of reader.slices(name)) {
      for (const { key, value } of slice)
        entries.push([key.toString('hex'), value.toString('hex')]);
    }
  }
  return contents;
}

const textOf = (entries: readonly ImageEntry[]): Array<readonly [string, string]> =>
  entries.map(([key, value]) => [hex(key), hex(value)]);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const entriesOf = (count: number, valueBytes: (i: number) => number): ImageEntry[] =>
  Array.from({ length: count }, (_, i) => {
    const key = Buffer.alloc(9, 'k');
    key.writeUInt32BE(i, 1);
    return [key, Buffer.alloc(valueBytes(i), i % 251)];
  });

const anyEntries = fc
  .uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 40 }), {
    maxLength: 60,
    selector: (key) => hex(key),
  })
  .chain((keys) =>
    fc
      .array(fc.nat(9000), { minLength: keys.length, maxLength: keys.length })
      .map((sizes) =>
        keys
          .sort(Buffer.compare)
          .map((key, i): ImageEntry => [key, Buffer.alloc(sizes[i] ?? 0, sizes[i] ?? 0)]),
      ),
  );

/** Offset of the first page from `from` on that is of this kind. */
function pageOf(file: Buffer, flag: number, from = 3): number {
  for (let page = from; page * pageSize < file.length; page++) {
    const at = page * pageSize;
    if (file.readUInt16LE(at + 8) === flag && Number(file.readBigUInt64LE(at)) === page) return at;
  }
  throw new Error(`no page of kind ${flag}`);
}

const leaf = 2;
const branch = 1;

/** What reading the file with `change` ends in. */
async function failureWith(
  change: (file: Buffer) => Buffer | undefined,
  entries = entriesOf(3000, (i) => i % 300),
): Promise<StorageError> {
  const file = await imageOf(new Map([['key', entries]]));
  const changed = change(file) ?? file;
  const error = await readAll(changed).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StorageError);
  return error as StorageError;
}

describe('a bbolt file', () => {
  it('gives back what was written into it', async () => {
    await fc.assert(
      fc.asyncProperty(anyEntries, anyEntries, async (key, lease) => {
        const file = await imageOf(
          new Map([
            ['key', key],
            ['lease', lease],
            ['meta', []],
          ]),
        );
        expect(await readAll(file)).toEqual({ key: textOf(key), lease: textOf(lease), meta: [] });
      }),
      { numRuns: 40 },
    );
  });

  it('may have many levels, and values over many pages', async () => {
    const entries = entriesOf(40_000, (i) => (i % 5000 === 7 ? 300_000 : i % 40));
    const bytes = await imageOf(new Map([['key', entries]]));
    const file = new MemoryFile(bytes);
    expect((await readAll(bytes, file)).key).toEqual(textOf(entries));
    // Every page is read about once.
    expect(file.bytesRead).toBeLessThan(bytes.length * 1.5);
  });

  it('is read in slices of bounded size', async () => {
    const bytes = await imageOf(new Map([['key', entriesOf(2000, () => 3000)]]));
    const reader = await openBbolt(new MemoryFile(bytes), '/backup.db', bytes.length);
    for await (const slice of reader.slices('key')) {
      const sum = slice.reduce((total, { value }) => total + value.length, 0);
      expect(sum).toBeLessThan(300_000);
    }
  });

  it('may keep a small bucket inside of its entry', async () => {
    // Header of the bucket (root 0), then a page: one entry 'a' = 'bc'.
    const inline = Buffer.alloc(16 + 16 + 16 + 3);
    inline.writeUInt16LE(leaf, 16 + 8);
    inline.writeUInt16LE(1, 16 + 10);
    inline.writeUInt32LE(16, 32 + 4);
    inline.writeUInt32LE(1, 32 + 8);
    inline.writeUInt32LE(2, 32 + 12);
    inline.write('abc', 48);
    const file = await imageOf(new Map([['root', [[Buffer.from('small'), inline]]]]));
    const bucket = pageOf(file, leaf);
    // Its entry becomes that of a bucket, and its page the root of all.
    file.writeUInt32LE(1, bucket + 16);
    for (const meta of [0, pageSize]) setRoot(file, meta, bucket / pageSize);
    expect(await readAll(file)).toEqual({
      small: [[hex(Buffer.from('a')), hex(Buffer.from('bc'))]],
    });
    file.writeUInt16LE(9, bucket + 16 + 16 + 5 + 16 + 10);
    await expect(readAll(file)).rejects.toThrow('no room for 9 elements');
  });

  it('goes by the newer of its two meta pages that is whole', async () => {
    const file = await imageOf(new Map([['key', entriesOf(10, () => 5)]]));
    for (const damaged of [0, pageSize]) {
      const copy = Buffer.from(file);
      copy[damaged + 40] = 0xff;
      expect((await readAll(copy)).key?.length).toBe(10);
    }
    const copy = Buffer.from(file);
    copy[40] = 0xff;
    copy[pageSize + 40] = 0xff;
    await expect(readAll(copy)).rejects.toThrow('no valid meta page: /backup.db at offset 0');
  });
});

function setRoot(file: Buffer, meta: number, root: number): void {
  const at = meta + 16;
  file.writeBigUInt64LE(BigInt(root), at + 16);
  let hash = 0xcbf29ce484222325n;
  for (const byte of file.subarray(at, at + 56)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  file.writeBigUInt64LE(hash, at + 56);
}

describe('a damaged bbolt file is refused, with offset and remedy', () => {
  it('if it is none, or ends early', async () => {
    expect((await failureWith(() => Buffer.alloc(0))).message).toContain('no valid meta page');
    expect((await failureWith(() => Buffer.alloc(100_000, 7))).message).toContain('no valid meta');
    const short = await failureWith((file) => file.subarray(0, file.length - 1));
    expect(short.message).toContain('ends early');
    expect(short.offset).toBeGreaterThan(0);
    expect(short.remedy).toContain('another snapshot');
  });

  it('if a page is of another kind, or another one', async () => {
    const kind = await failureWith((file) => void file.writeUInt16LE(4, pageOf(file, leaf) + 8));
    expect(kind.message).toContain('kind 4');
    expect(kind.offset).toBe(3 * pageSize);
    const other = await failureWith((file) => void file.writeUInt32LE(77, pageOf(file, leaf)));
    expect(other.message).toContain('says that it is another one');
  });

  it('if branches go in a circle', async () => {
    const error = await failureWith((file) => {
      const at = pageOf(file, branch);
      file.writeBigUInt64LE(BigInt(at / pageSize), at + 16 + 8);
    });
    expect(error.message).toContain('a branch points to page');
  });

  it('if branches lead to the same page twice, or to an empty one', async () => {
    const firstChild = (file: Buffer): bigint => file.readBigUInt64LE(pageOf(file, branch) + 24);
    const twice = await failureWith((file) => {
      file.writeBigUInt64LE(firstChild(file), pageOf(file, branch) + 16 + 24);
    });
    expect(twice.message).toContain('not in order');
    const empty = await failureWith((file) => {
      file.writeUInt16LE(0, Number(firstChild(file)) * pageSize + 10);
    });
    expect(empty.message).toContain('a page below a branch is empty');
    const none = await failureWith((file) => void file.writeUInt16LE(0, pageOf(file, branch) + 10));
    expect(none.message).toContain('a branch is empty');
  });

  it('if an entry lies elsewhere, or is out of order', async () => {
    const at = (file: Buffer): number => pageOf(file, leaf) + 16;
    const outside = await failureWith((file) => void file.writeUInt32LE(5000, at(file) + 12));
    expect(outside.message).toContain('outside of its page');
    const flags = await failureWith((file) => void file.writeUInt32LE(1, at(file)));
    expect(flags.message).toContain('an entry has flags 1');
    const order = await failureWith(
      (file) => void file.fill(0xff, pageSize * 3 + 2000, pageSize * 4),
    );
    expect(order.message).toMatch(/not in order|outside of its page/);
  });

  it('whatever is wrong with it: never another error, never endless', async () => {
    const entries = entriesOf(900, (i) => (i === 500 ? 20_000 : i % 90));
    const clean = await imageOf(
      new Map([
        ['key', entries],
        ['meta', entriesOf(3, () => 9)],
      ]),
    );
    let refused = 0;
    const mutation = fc.record({
      // Mostly where structure is: the first bytes of a page.
      at: fc.tuple(fc.nat(), fc.nat(200)).map(([page, within]) => {
        return ((page % (clean.length / pageSize)) * pageSize + within) % clean.length;
      }),
      byte: fc.nat(255),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 12 }), async (mutations) => {
        const file = Buffer.from(clean);
        for (const { at, byte } of mutations) file[at] = byte;
        const memory = new MemoryFile(file);
        try {
          await readAll(file, memory);
        } catch (error) {
          if (!(error instanceof StorageError)) throw error;
          refused += 1;
        }
        expect(memory.bytesRead).toBeLessThan(40 * clean.length);
      }),
      { numRuns: 600 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});
