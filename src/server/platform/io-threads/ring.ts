/**
 * Records from one thread to another through shared memory: one writer, one reader, no lock. A
 * record is four words (payload bytes, kind, slot, extra) and its payload, lies in one piece and
 * begins at a multiple of eight. Where it does not fit before the end, a mark says "go on at 0".
 */

const headWord = 0;
/** Words that different threads write are on cache lines of their own. */
const tailWord = 16;
const wantsRoomWord = 32;
const controlBytes = 256;
const recordHeadBytes = 16;
const skipMark = -1;
/** The clock is read once in so many records (a power of two, less one). */
const lookMask = 3;

export interface RingMemory {
  readonly shared: SharedArrayBuffer;
}

/** `capacityBytes`: a power of two. */
export function makeRing(capacityBytes: number): RingMemory {
  return { shared: new SharedArrayBuffer(controlBytes + capacityBytes) };
}

/** Gets the records; the payload is `from[start, end)`, borrowed until it returns. */
export interface RecordSink {
  onRecord(
    kind: number,
    slot: number,
    extra: number,
    from: Buffer,
    start: number,
    end: number,
  ): void;
}

function align(bytes: number): number {
  return (bytes + 7) & ~7;
}

export class RingWriter {
  readonly capacityBytes: number;
  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  readonly #mask: number;
  #head = 0;
  /** The reader's place when it was last looked at. */
  #tail = 0;

  constructor({ shared }: RingMemory) {
    this.#words = new Int32Array(shared);
    this.#bytes = Buffer.from(shared, controlBytes);
    this.capacityBytes = this.#bytes.length;
    this.#mask = this.capacityBytes - 1;
  }

  /** False: no room now; the reader rings once there is some. The bytes are copied. */
  write(kind: number, slot: number, extra: number, payload: Uint8Array): boolean {
    const at = this.#begin(kind, slot, extra, payload.length);
    if (at < 0) return false;
    if (payload.length > 0) this.#bytes.set(payload, at);
    Atomics.store(this.#words, headWord, this.#head);
    return true;
  }

  /** The same for a payload of `payloadBytes` in parts. */
  writeParts(
    kind: number,
    slot: number,
    payloadBytes: number,
    parts: readonly Uint8Array[],
  ): boolean {
    let at = this.#begin(kind, slot, 0, payloadBytes);
    if (at < 0) return false;
    for (const part of parts) {
      this.#bytes.set(part, at);
      at += part.length;
    }
    Atomics.store(this.#words, headWord, this.#head);
    return true;
  }

  /** Writes the head of a record that nobody sees yet; where its payload goes, or -1: no room. */
  #begin(kind: number, slot: number, extra: number, payloadBytes: number): number {
    const recordBytes = recordHeadBytes + align(payloadBytes);
    let at = this.#head & this.#mask;
    const toEnd = this.capacityBytes - at;
    const needed = recordBytes <= toEnd ? recordBytes : toEnd + recordBytes;
    if (!this.#hasRoom(needed)) return -1;
    if (recordBytes > toEnd) {
      this.#words[(controlBytes + at) >> 2] = skipMark;
      this.#head = (this.#head + toEnd) | 0;
      at = 0;
    }
    const word = (controlBytes + at) >> 2;
    this.#words[word] = payloadBytes;
    this.#words[word + 1] = kind;
    this.#words[word + 2] = slot;
    this.#words[word + 3] = extra;
    this.#head = (this.#head + recordBytes) | 0;
    return at + recordHeadBytes;
  }

  #hasRoom(neededBytes: number): boolean {
    const roomMax = this.capacityBytes - neededBytes;
    if (((this.#head - this.#tail) | 0) <= roomMax) return true;
    this.#tail = Atomics.load(this.#words, tailWord);
    if (((this.#head - this.#tail) | 0) <= roomMax) return true;
    Atomics.store(this.#words, wantsRoomWord, 1);
    // It may have made room before it could see that.
    this.#tail = Atomics.load(this.#words, tailWord);
    return ((this.#head - this.#tail) | 0) <= roomMax;
  }
}

export class RingReader {
  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  readonly #mask: number;
  #tail = 0;

  constructor({ shared }: RingMemory) {
    this.#words = new Int32Array(shared);
    this.#bytes = Buffer.from(shared, controlBytes);
    this.#mask = this.#bytes.length - 1;
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#words, headWord) === this.#tail;
  }

  /**
   * Hands on what is there now, or less if `isLate` says that it has taken long enough. Returns the
   * number of records.
   */
  drain(sink: RecordSink, isLate?: () => boolean): number {
    const head = Atomics.load(this.#words, headWord);
    const bytes = this.#bytes;
    let records = 0;
    while (this.#tail !== head) {
      if ((records & lookMask) === lookMask && isLate?.() === true) break;
      const at = this.#tail & this.#mask;
      const word = (controlBytes + at) >> 2;
      const payloadBytes = this.#words[word] as number;
      if (payloadBytes === skipMark) {
        this.#tail = (this.#tail + bytes.length - at) | 0;
        continue;
      }
      const start = at + recordHeadBytes;
      const kind = this.#words[word + 1] as number;
      const slot = this.#words[word + 2] as number;
      const extra = this.#words[word + 3] as number;
      sink.onRecord(kind, slot, extra, bytes, start, start + payloadBytes);
      this.#tail = (this.#tail + recordHeadBytes + align(payloadBytes)) | 0;
      records += 1;
    }
    if (records > 0) Atomics.store(this.#words, tailWord, this.#tail);
    return records;
  }

  /** True once after the writer found no room; to be asked after `drain`. */
  takeWish(): boolean {
    return (
      Atomics.load(this.#words, wantsRoomWord) === 1 &&
      Atomics.exchange(this.#words, wantsRoomWord, 0) === 1
    );
  }
}
