/**
 * Frames and the sectors of the disk. A disk writes a sector of 512 bytes whole or not at all, but
 * the sectors of one interrupted write in any order. Each sector that a frame goes on into starts
 * with a stamp, `magic u32 | previousCrc u32`, which no other frame of the log has; the frame's
 * header, which has the same two, never crosses from one sector to the next. So for each sector it
 * can be told whether it was written: that is what tells a torn write from damage (wal/tail.ts).
 *
 * The words that stamps take the place of are kept in a table behind the payload:
 *
 *   header | payload, stamped | displaced words, in order, with stamps between them where due
 *
 * Zeros follow up to the end of the last sector, in the same write. Offsets are those in the file.
 */

/** What a disk writes whole or not at all; a larger sector is made of these. */
export const sectorBytes = 512;
/** See wal/format.ts. */
export const frameHeaderBytes = 24;
const wordBytes = 8;

/** The two numbers that mark the sectors of one frame. */
export interface FrameMark {
  readonly magic: number;
  readonly previousCrc: number;
}

/** Where the sector after the one that holds `at` begins. */
export function nextSector(at: number): number {
  return at - (at % sectorBytes) + sectorBytes;
}

/** `at` rounded up to the end of a sector. */
export function sectorEnd(at: number): number {
  return Math.ceil(at / sectorBytes) * sectorBytes;
}

/** Where a frame may begin at or behind `at`, a multiple of 8: its header stays in one sector. */
export function frameStart(at: number): number {
  const next = nextSector(at);
  return at + frameHeaderBytes > next ? next : at;
}

/** Where a frame at `at` with so many bytes of payload, a multiple of 8, ends. */
export function frameEnd(at: number, payloadBytes: number): number {
  const payloadEnd = at + frameHeaderBytes + payloadBytes;
  const displaced = sectorsBegun(at, payloadEnd);
  let stamps = displaced;
  for (;;) {
    const end = payloadEnd + wordBytes * stamps;
    // Stamps within the table take room there.
    const all = displaced === 0 ? 0 : sectorsBegun(at, end);
    if (all === stamps) return end;
    stamps = all;
  }
}

/** An upper bound of what `frameEnd` adds, for making room. */
export function stampBytesMax(frameBytes: number): number {
  return wordBytes * (Math.ceil(frameBytes / (sectorBytes - wordBytes)) + 1);
}

/** How many sectors begin behind `at` and before `end`. */
function sectorsBegun(at: number, end: number): number {
  return Math.max(0, Math.ceil(end / sectorBytes) - Math.floor(at / sectorBytes) - 1);
}

/**
 * Stamps a frame that starts at `at` in the file and lies at 0 in `view`, with `length` bytes so
 * far; returns its length with the table. `view` must have room for it.
 */
export function stamp(view: DataView, at: number, length: number, mark: FrameMark): number {
  let slot = length;
  for (let word = nextSector(at) - at; word < length; word += sectorBytes) {
    if ((at + slot) % sectorBytes === 0) {
      writeMark(view, slot, mark);
      slot += wordBytes;
    }
    // Two halves: a float would not keep every pattern of bits.
    view.setUint32(slot, view.getUint32(word, true), true);
    view.setUint32(slot + 4, view.getUint32(word + 4, true), true);
    writeMark(view, word, mark);
    slot += wordBytes;
  }
  return slot;
}

/** The payload of the frame at `at` as it was before `stamp`; a copy. */
export function unstamp(bytes: Buffer, at: number, payloadBytes: number): Buffer {
  const begin = at + frameHeaderBytes;
  const end = begin + payloadBytes;
  const payload = Buffer.from(bytes.subarray(begin, end));
  let slot = end;
  for (let word = nextSector(at); word < end; word += sectorBytes) {
    if (slot % sectorBytes === 0) slot += wordBytes;
    bytes.copy(payload, word - begin, slot, slot + wordBytes);
    slot += wordBytes;
  }
  return payload;
}

/** How many of the two halves of the stamp at `at` are those of `mark`. */
export function markedHalves(bytes: Buffer, at: number, mark: FrameMark): 0 | 1 | 2 {
  if (at + wordBytes > bytes.length) return 0;
  const isMagic = bytes.readUInt32LE(at) === mark.magic;
  const isPrevious = bytes.readUInt32LE(at + 4) === mark.previousCrc;
  if (isMagic && isPrevious) return 2;
  return isMagic || isPrevious ? 1 : 0;
}

function writeMark(view: DataView, at: number, mark: FrameMark): void {
  view.setUint32(at, mark.magic, true);
  view.setUint32(at + 4, mark.previousCrc, true);
}

/** True if [from, to) holds zeros only; what lies behind the end of the file counts as zero. */
export function isZero(bytes: Buffer, from: number, to: number): boolean {
  return lastNonZero(bytes, from, Math.min(to, bytes.length)) <= from;
}

/** The end of what is not zero in [from, to); `from` if all of it is. */
export function lastNonZero(bytes: Buffer, from: number, to: number): number {
  let end = to;
  // Whole blocks first, natively: a segment is mostly zeros when it is young.
  while (end - zeroBlock.length >= from) {
    if (bytes.compare(zeroBlock, 0, zeroBlock.length, end - zeroBlock.length, end) !== 0) break;
    end -= zeroBlock.length;
  }
  while (end > from && bytes[end - 1] === 0) end -= 1;
  return Math.max(end, from);
}

const zeroBlock = Buffer.alloc(64 * 1024);

/** True if no more than a few bits are set in [from, to): zeros that some flipped in. */
export function isAlmostZero(bytes: Buffer, from: number, to: number): boolean {
  let bits = 0;
  for (let at = from; at < Math.min(to, bytes.length); at++) {
    for (let byte = bytes[at] ?? 0; byte !== 0; byte &= byte - 1) bits += 1;
    if (bits > bitsOfNoise) return false;
  }
  return true;
}

const bitsOfNoise = 8;
