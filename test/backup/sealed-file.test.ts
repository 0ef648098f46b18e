/** Files of backups: what is not exactly what was written is refused, whatever was changed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseKey } from '../../src/backup/key.js';
import { openFile, type SealedHeader, sealFile } from '../../src/backup/sealed-file.js';
import { backupChunkBytes, StorageError } from '../../src/common/index.js';
import { SimRandom } from '../../src/sim/index.js';

const header: SealedHeader = { chain: 'c', kind: 'changes', number: 3, previous: 'p' };
const key = parseKey(Buffer.alloc(32, 7), 'key');
const other = parseKey(Buffer.from('ab'.repeat(32)), 'other');

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function gathered(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

const seal = (content: Buffer, own: typeof key | undefined, seed = 1) =>
  gathered(sealFile(header, inPieces(content, 1000), own, new SimRandom(seed)));
const open = (file: Buffer, own: typeof key | undefined, expected = header) =>
  gathered(openFile('f', expected, inPieces(file, 777), own));

describe.each([
  ['with a key', key],
  ['without', undefined],
] as const)('a file %s', (_, own) => {
  it('has what was put into it, however much that is', async () => {
    const sizes = [0, 1, 5000, backupChunkBytes, backupChunkBytes + 1, 3 * backupChunkBytes];
    for (const size of sizes) {
      const content = Buffer.alloc(size, 'some text that is compressed ');
      expect((await open(await seal(content, own), own)).equals(content)).toBe(true);
    }
    const noise = Buffer.from(Array.from({ length: 70_000 }, (_byte, i) => (i * i * 31) >> 5));
    expect((await open(await seal(noise, own), own)).equals(noise)).toBe(true);
  });

  it('is refused if any byte of it is another one, or is missing', async () => {
    const content = Buffer.alloc(3000, 'abcdefghijklm');
    const file = await seal(content, own);
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (at, x) => {
        const damaged = Buffer.from(file);
        damaged.writeUInt8(damaged.readUInt8(at) ^ x, at);
        const result = await open(damaged, own).catch((error: unknown) => error);
        // A salt or a name of the key that was changed leads to another key.
        if (!(result instanceof StorageError)) expect(result).toEqual(content);
        else expect(result.path).toBe('f');
        expect(result).toBeInstanceOf(StorageError);
      }),
      { numRuns: 300 },
    );
    for (const length of [0, 5, 30, file.length - 1]) {
      await expect(open(file.subarray(0, length), own)).rejects.toThrow('it ends early');
    }
    await expect(open(Buffer.concat([file, file]), own)).rejects.toThrow('it goes on behind');
  });

  it('can not take the place of another one', async () => {
    const file = await seal(Buffer.from('x'), own);
    for (const wrong of [{ chain: 'd' }, { number: 4 }, { previous: 'q' }]) {
      const expected = { ...header, ...wrong };
      await expect(open(file, own, expected)).rejects.toThrow('it is another file');
    }
  });
});

describe('an encrypted file', () => {
  it('is refused without the key, and with another, by name', async () => {
    const file = await seal(Buffer.from('x'), key);
    await expect(open(file, undefined)).rejects.toThrow(
      `it is encrypted: f. Give the file of the key ${key.name}`,
    );
    await expect(open(file, other)).rejects.toThrow(
      `Give the file of the key ${key.name}; the one that was given has the key ${other.name}.`,
    );
  });

  it('does not show its content, nor that two are alike', async () => {
    const content = Buffer.from('the content, the content, the content');
    const [a, b] = [await seal(content, key, 1), await seal(content, key, 2)];
    expect(a.includes('content')).toBe(false);
    expect(a.subarray(-60).equals(b.subarray(-60))).toBe(false);
  });
});

describe('a key file', () => {
  it('has 32 bytes, or their digits', () => {
    const bytes = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7));
    expect(parseKey(Buffer.from(`${bytes.toString('hex')}\n`), 'k').name).toBe(
      parseKey(bytes, 'k').name,
    );
    for (const wrong of ['', 'x', 'ab'.repeat(31)]) {
      expect(() => parseKey(Buffer.from(wrong), 'k')).toThrow('the key file has no key: k. It has');
    }
  });
});
