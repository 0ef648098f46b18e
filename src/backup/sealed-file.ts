/**
 * A file of a backup (docs/adr/0017-backups.md), made and read as it streams by:
 *
 *     'KVBK' | version u8 | header length u32 | header (JSON) | chunks
 *     chunk: body length u32 | flags u8 | body | tag (16 bytes; without a key 4 bytes of CRC-32)
 *
 * Little endian. Flags: 1 the last chunk, 2 the body is deflated. What the tag vouches for is the
 * header, the number and the flags of the chunk, and the body: nothing can be exchanged or cut off
 * unnoticed.
 */

import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { crc32, deflateRaw, deflateRawSync, inflateRawSync } from 'node:zlib';
import { assert, backupChunkBytes, backupDeflateHereBytes, type Random } from '../common/index.js';
import { damagedFile } from './damage.js';
import type { BackupKey } from './key.js';

/** What a header says of its file. */
export interface SealedHeader {
  readonly chain: string;
  readonly kind: 'full' | 'changes';
  readonly number: number;
  /** SHA-256 of the file before it in the chain; '' for the first. */
  readonly previous: string;
}

interface StoredHeader extends SealedHeader {
  readonly key?: string;
  readonly salt?: string;
}

const magic = Buffer.from('KVBK');
const version = 1;
const prefixBytes = magic.length + 1 + 4;
const headerBytesMax = 4096;
const chunkHeadBytes = 5;
const flagLast = 1;
const flagDeflated = 2;
const tagBytes = 16;
const crcBytes = 4;
const saltWords = 8;
/** The fastest level: most of what can be gained, at a third of the time. */
const deflateLevel = 1;

const deflateElsewhere = promisify(deflateRaw);

/** The file, in pieces, of what `source` gives. Without `key` it is not encrypted. */
export async function* sealFile(
  header: SealedHeader,
  source: AsyncIterable<Uint8Array>,
  key: BackupKey | undefined,
  random: Random,
): AsyncGenerator<Buffer> {
  const salt = Buffer.alloc(saltWords * 4);
  for (let word = 0; word < saltWords; word += 1) salt.writeUInt32LE(random.u32(), word * 4);
  const encrypted = key === undefined ? {} : { key: key.name, salt: salt.toString('hex') };
  const stored: StoredHeader = { ...header, ...encrypted };
  const head = headOf(stored);
  yield head;
  const seal = new ChunkSealer(head, key?.fileKey(salt));
  for await (const chunk of inChunks(source)) yield await seal.chunk(chunk.bytes, chunk.isLast);
}

function headOf(header: StoredHeader): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  assert(text.length <= headerBytesMax, 'a header is short');
  const prefix = Buffer.alloc(prefixBytes);
  magic.copy(prefix);
  prefix.writeUInt8(version, magic.length);
  prefix.writeUInt32LE(text.length, magic.length + 1);
  return Buffer.concat([prefix, text]);
}

/** What `source` gives, cut anew; there is always a last one, which may be empty. */
async function* inChunks(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ readonly bytes: Buffer; readonly isLast: boolean }> {
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + backupChunkBytes - bytes);
      gathered.push(part);
      bytes += part.length;
      at += part.length;
      if (bytes < backupChunkBytes) continue;
      yield { bytes: Buffer.concat(gathered), isLast: false };
      gathered = [];
      bytes = 0;
    }
  }
  yield { bytes: Buffer.concat(gathered), isLast: true };
}

/** Nonce and additional data of each chunk, on either side. */
class ChunkCount {
  readonly #headHash: Buffer;
  #number = 0;

  constructor(head: Uint8Array) {
    this.#headHash = createHash('sha256').update(head).digest();
  }

  next(flags: number): { readonly nonce: Buffer; readonly data: Buffer } {
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(this.#number, 8);
    this.#number += 1;
    assert(this.#number < 2 ** 32, 'chunks have numbers of 32 bits');
    return { nonce, data: Buffer.concat([this.#headHash, nonce, Buffer.of(flags)]) };
  }
}

/** What takes longer than a slice is done on a thread, as a server writes backups, too. */
function deflate(plain: Buffer): Buffer | Promise<Buffer> {
  const options = { level: deflateLevel };
  if (plain.length <= backupDeflateHereBytes) return deflateRawSync(plain, options);
  return deflateElsewhere(plain, options);
}

/** The body first, which may be empty: Node's crc32 of nothing forgets what came before. */
function crcOf(body: Buffer, data: Buffer): number {
  return crc32(data, crc32(body));
}

class ChunkSealer {
  readonly #count: ChunkCount;
  readonly #key: Buffer | undefined;

  constructor(head: Buffer, key: Buffer | undefined) {
    this.#count = new ChunkCount(head);
    this.#key = key;
  }

  async chunk(plain: Buffer, isLast: boolean): Promise<Buffer> {
    const deflated = await deflate(plain);
    const isSmaller = deflated.length < plain.length;
    const body = isSmaller ? deflated : plain;
    const flags = (isLast ? flagLast : 0) | (isSmaller ? flagDeflated : 0);
    const { nonce, data } = this.#count.next(flags);
    const head = Buffer.alloc(chunkHeadBytes);
    head.writeUInt32LE(body.length, 0);
    head.writeUInt8(flags, 4);
    if (this.#key === undefined) {
      const tag = Buffer.alloc(crcBytes);
      tag.writeUInt32LE(crcOf(body, data), 0);
      return Buffer.concat([head, body, tag]);
    }
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    cipher.setAAD(data);
    return Buffer.concat([head, cipher.update(body), cipher.final(), cipher.getAuthTag()]);
  }
}

/**
 * The content of the file `name`, which must have this header. Throws StorageError at the first
 * thing that is not as it must be; what was given before that was right.
 */
export async function* openFile(
  name: string,
  expected: SealedHeader,
  source: AsyncIterable<Uint8Array>,
  key: BackupKey | undefined,
): AsyncGenerator<Buffer> {
  const input = new Input(name, source);
  try {
    const prefix = await input.take(prefixBytes);
    if (!prefix.subarray(0, magic.length).equals(magic)) throw damagedFile(name, 'it is none');
    if (prefix[magic.length] !== version) {
      throw damagedFile(name, 'a newer version wrote it', 'Restore it with that version.');
    }
    const length = prefix.readUInt32LE(magic.length + 1);
    if (length > headerBytesMax) throw damagedFile(name, 'its header is damaged');
    const text = await input.take(length);
    const head = Buffer.concat([prefix, text]);
    const header = parseHeader(name, text);
    checkHeader(name, header, expected);
    const fileKey = keyFor(name, header, key);
    yield* openChunks(name, input, head, fileKey);
  } finally {
    await input.close();
  }
}

async function* openChunks(
  name: string,
  input: Input,
  head: Buffer,
  key: Buffer | undefined,
): AsyncGenerator<Buffer> {
  const count = new ChunkCount(head);
  for (let isLast = false; !isLast; ) {
    const chunkHead = await input.take(chunkHeadBytes);
    const length = chunkHead.readUInt32LE(0);
    const flags = chunkHead.readUInt8(4);
    if (length > backupChunkBytes || flags > (flagLast | flagDeflated)) {
      throw damagedFile(name, `it is damaged at byte ${input.offset}`);
    }
    const sealed = await input.take(length + (key === undefined ? crcBytes : tagBytes));
    const body = openBody(sealed, length, count.next(flags), key);
    if (body === undefined) throw damagedFile(name, `it is damaged before byte ${input.offset}`);
    isLast = (flags & flagLast) !== 0;
    yield (flags & flagDeflated) === 0 ? body : inflated(name, body);
  }
  if (await input.hasMore()) throw damagedFile(name, `it goes on behind byte ${input.offset}`);
}

/** Undefined: the tag is not that of these bytes. */
function openBody(
  sealed: Buffer,
  length: number,
  { nonce, data }: { readonly nonce: Buffer; readonly data: Buffer },
  key: Buffer | undefined,
): Buffer | undefined {
  const body = sealed.subarray(0, length);
  const tag = sealed.subarray(length);
  if (key === undefined) {
    return crcOf(body, data) === tag.readUInt32LE(0) ? body : undefined;
  }
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(data);
  decipher.setAuthTag(tag);
  const plain = decipher.update(body);
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plain;
}

/** In one piece: whoever reads a backup serves nobody. */
function inflated(name: string, body: Buffer): Buffer {
  try {
    return inflateRawSync(body, { maxOutputLength: backupChunkBytes });
  } catch (error) {
    throw damagedFile(name, `what is compressed in it can't be read: ${String(error)}`);
  }
}

function parseHeader(name: string, text: Buffer): StoredHeader {
  try {
    const header: unknown = JSON.parse(text.toString());
    if (typeof header === 'object' && header !== null) return header as StoredHeader;
  } catch {
    // Told below.
  }
  throw damagedFile(name, 'its header is damaged');
}

function checkHeader(name: string, header: StoredHeader, expected: SealedHeader): void {
  for (const field of ['chain', 'kind', 'number', 'previous'] as const) {
    if (header[field] === expected[field]) continue;
    throw damagedFile(name, `it is another file than the manifest says (its ${field} differs)`);
  }
}

function keyFor(name: string, header: StoredHeader, key: BackupKey | undefined) {
  const wanted = header.key;
  if (wanted === undefined) return undefined;
  if (key === undefined) throw keyNeeded(name, wanted);
  if (key.name !== wanted) throw wrongKey(name, wanted, key.name);
  return key.fileKey(Buffer.from(header.salt ?? '', 'hex'));
}

/** There is no key, and one is needed. */
export function keyNeeded(name: string, wanted: string) {
  const remedy = `Give the file of the key ${wanted}, with which it was made, by --key-file.`;
  return damagedFile(name, 'it is encrypted', remedy);
}

/** There is a key, but another one. */
export function wrongKey(name: string, wanted: string, given: string) {
  const remedy = `Give the file of the key ${wanted}; the one that was given has the key ${given}.`;
  return damagedFile(name, 'it is encrypted with another key', remedy);
}

/** Bytes as they are asked for, from pieces as they come. */
class Input {
  /** Bytes taken. */
  offset = 0;
  readonly #name: string;
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(name: string, source: AsyncIterable<Uint8Array>) {
    this.#name = name;
    this.#pieces = source[Symbol.asyncIterator]();
  }

  async take(length: number): Promise<Buffer> {
    const taken = Buffer.allocUnsafe(length);
    for (let filled = 0; filled < length; ) {
      if (this.#rest.length === 0 && !(await this.#more())) {
        throw damagedFile(this.#name, `it ends early, at byte ${this.offset + filled}`);
      }
      const part = this.#rest.subarray(0, length - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    this.offset += length;
    return taken;
  }

  async hasMore(): Promise<boolean> {
    return this.#rest.length > 0 || (await this.#more());
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #more(): Promise<boolean> {
    for (;;) {
      const next = await this.#pieces.next();
      if (next.done === true) return false;
      this.#rest = next.value;
      if (this.#rest.length > 0) return true;
    }
  }
}
