/**
 * What lies behind the last whole frame of a log: nothing, a write that a crash interrupted, or
 * damage to a frame that may have been acknowledged. docs/on-disk-format.md argues why the answer
 * is right; the rule is about sectors, which a disk writes whole or not at all:
 *
 *  - written: it has the mark of the frame that would come next (its header, or a stamp);
 *  - unwritten: it is as it was before, which is zeros, or in a file that was used before also a
 *    sector with the mark of an earlier segment;
 *  - anything else is damage.
 *
 * A frame of which a sector is unwritten is torn: its sync never returned, so nobody was answered.
 */

import { frameExtent, magicOf, readFrame, type WalVersion } from './format.js';
import {
  type FrameMark,
  frameHeaderBytes,
  isAlmostZero,
  isZero,
  lastNonZero,
  markedHalves,
  nextSector,
  sectorBytes,
  sectorEnd,
} from './sector.js';

/** Where it looks, and what the frame there would have. */
export interface TailPlace extends FrameMark {
  readonly bytes: Buffer;
  readonly at: number;
  readonly version: WalVersion;
  readonly magicBase: number;
  readonly sequence: number;
  /** Only asked for in version 1. */
  readonly isRecycled: boolean;
}

/** What is there. `bytes`: how many of a torn frame's there are at most, to be cleaned up. */
export type Tail =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'torn'; readonly bytes: number }
  | { readonly kind: 'damaged' };

const nothing: Tail = { kind: 'nothing' };
const damaged: Tail = { kind: 'damaged' };

/** Judges what lies at `place.at`, where no whole frame begins. */
export function judgeTail(place: TailPlace): Tail {
  return place.version === 1 ? judgeFirstVersion(place) : judge(place);
}

type SectorState = 'written' | 'unwritten' | 'damaged';

function judge(place: TailPlace): Tail {
  const { bytes, at } = place;
  const header = headerState(place);
  if (header === 'damaged') return damaged;
  if (header === 'unwritten') {
    // No sector is written before the sync of the frame in front of it has returned, so these
    // belong to the frame that would begin here, and to none that was acknowledged.
    const end = tailEnd(place);
    return end === at ? nothing : { kind: 'torn', bytes: end - at };
  }
  const extent = frameExtent(bytes, at, 2);
  if (extent === undefined) return damaged;
  let isTorn = false;
  for (let sector = nextSector(at); sector < extent.end; sector += sectorBytes) {
    const state = stampState(place, sector);
    if (state === 'damaged') return damaged;
    if (state === 'unwritten') isTorn = true;
  }
  if (!isTorn) return damaged;
  // Whole sectors: half of an old one would have no mark any more.
  const end = Math.max(tailEnd(place), sectorEnd(extent.end));
  return { kind: 'torn', bytes: Math.min(end, bytes.length) - at };
}

/** The state of the sector with the header, as far as it belongs to the frame at `at`. */
function headerState(place: TailPlace): SectorState {
  const { bytes, at } = place;
  const end = nextSector(at);
  // The rest of a sector in which a frame ended was zeroed in the same write.
  if (isZero(bytes, at, end)) return 'unwritten';
  if (at + frameHeaderBytes > bytes.length) return 'damaged';
  const isMagic = bytes.readUInt32LE(at + 4) === place.magic;
  const isPrevious = bytes.readUInt32LE(at + 12) === place.previousCrc;
  if (isMagic && isPrevious) return 'written';
  return isMagic || isPrevious ? 'damaged' : unmarkedState(place, at);
}

function stampState(place: TailPlace, sector: number): SectorState {
  const { bytes } = place;
  if (isZero(bytes, sector, sector + sectorBytes)) return 'unwritten';
  const halves = markedHalves(bytes, sector, place);
  if (halves === 2) return 'written';
  return halves === 1 ? 'damaged' : unmarkedState(place, sector);
}

function unmarkedState(place: TailPlace, at: number): SectorState {
  const { bytes } = place;
  if (at % sectorBytes === 0 && isOfEarlierSegment(place, at)) return 'unwritten';
  // Nothing was ever written there: a bit that flipped in it is no loss.
  return isAlmostZero(bytes, at, nextSector(at)) ? 'unwritten' : 'damaged';
}

/** True if a sector starts as those of every earlier segment do: with a stamp or a header. */
function isOfEarlierSegment(place: TailPlace, sector: number): boolean {
  const { bytes, magicBase, sequence } = place;
  if (sector + 8 > bytes.length) return false;
  return [sector, sector + 4].some((at) => {
    const magic = bytes.readUInt32LE(at);
    return magic > magicBase && magic < magicOf(magicBase, sequence);
  });
}

/** Up to where there is anything that is neither as before nor zero; `at` if there is nothing. */
function tailEnd(place: TailPlace): number {
  const { bytes, at } = place;
  const last = lastNonZero(bytes, at, bytes.length);
  let end = at;
  for (let sector = at; sector < last; sector = nextSector(sector)) {
    if (sector % sectorBytes === 0 && markedHalves(bytes, sector, place) === 0) {
      if (isOfEarlierSegment(place, sector)) continue;
    }
    const next = nextSector(sector);
    if (!isZero(bytes, sector, next)) end = next;
  }
  return Math.min(end, bytes.length);
}

/**
 * Version 1 has no stamps. What it can do is what etcd does: a frame is torn if one of its sectors
 * is zero. In a file that was used before, an unwritten sector is not; there it rather refuses.
 */
function judgeFirstVersion(place: TailPlace): Tail {
  const { bytes, at, isRecycled } = place;
  if (at + frameHeaderBytes > bytes.length) return nothing;
  const isMagic = bytes.readUInt32LE(at + 4) === place.magic;
  const isPrevious = bytes.readUInt32LE(at + 12) === place.previousCrc;
  const contentEnd = lastNonZero(bytes, at, bytes.length);
  if (isRecycled ? !isMagic && !isPrevious : contentEnd === at) return nothing;
  const extent = isMagic ? frameExtent(bytes, at, 1) : undefined;
  if (isMagic && isWholeWithOtherLength(place)) return damaged;
  const end = extent?.end ?? contentEnd;
  const torn: Tail = { kind: 'torn', bytes: (isRecycled ? end : contentEnd) - at };
  if (!isRecycled && isAlmostZero(bytes, at, contentEnd)) return torn;
  for (let sector = at; sector < end; sector = nextSector(sector)) {
    if (isZero(bytes, sector, Math.min(nextSector(sector), end))) return torn;
  }
  return damaged;
}

/** True if it takes one other bit in the length to make the frame whole. */
function isWholeWithOtherLength({ bytes, at, magic }: TailPlace): boolean {
  const copy = Buffer.from(bytes.subarray(at));
  const length = copy.readUInt32LE(8);
  for (let bit = 0; bit < 32; bit++) {
    copy.writeUInt32LE((length ^ (1 << bit)) >>> 0, 8);
    if (readFrame(copy, 0, magic, 1) !== undefined) return true;
  }
  return false;
}
