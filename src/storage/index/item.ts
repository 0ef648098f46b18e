/**
 * All that memory knows about one key: its newest revision, and what older history a compaction has
 * not removed yet. The rules are those of etcd's key_index: a key lives in generations, each begun
 * by a put and ended by a tombstone, and a version counts the changes within one generation.
 *
 * Most keys have no history, so the newest generation is inlined and the rest hangs off one field.
 * Fields stay small integers (no boxes on the heap) up to revision 2^31 and grow into doubles
 * after.
 */

import { assert, type KeyString, type Revision } from '../../common/index.js';

/** Revisions as flat triples (main, sub, stored bytes), oldest first: no object per revision. */
export type RevisionList = number[];

/** A generation that ended: its last revision is the tombstone. */
export interface ClosedGeneration {
  readonly created: Revision;
  /** Version that the tombstone would have: the number of changes ever made in it. */
  readonly version: number;
  revisions: RevisionList;
}

/** Older revisions of a key. */
export interface ItemHistory {
  /** Of the newest generation, without the newest revision. */
  revisions: RevisionList;
  /** Earlier generations, oldest first. */
  closed: ClosedGeneration[];
}

/** One key. `dead`: the newest revision is a tombstone. */
export class KeyItem {
  /** Set by the index. Here and not in the leaves: a look-up reads both, so one miss less. */
  key: KeyString;
  main: Revision;
  sub: number;
  /** Revision that began the newest generation. */
  created: Revision;
  version: number;
  /** Stored size of the newest revision, with overhead. */
  bytes: number;
  /** Where the newest record is in the value log; `noLocation` if it never was. */
  location: number;
  dead: boolean;
  history: ItemHistory | undefined;

  constructor(main: Revision, sub: number, bytes: number, location: number) {
    this.key = '';
    this.main = main;
    this.sub = sub;
    this.created = main;
    this.version = 1;
    this.bytes = bytes;
    this.location = location;
    this.dead = false;
    this.history = undefined;
  }
}

/** {@link KeyItem.location} of what is not in memory. */
export const noLocation = -1;

/** Where {@link findAt} puts what it found: reused, so that a look-up allocates nothing. */
export class FoundRevision {
  main: Revision = 0;
  sub = 0;
  created: Revision = 0;
  version = 0;
  /** Stored size of its record, with overhead. */
  bytes = 0;
  location = noLocation;
}

/** True if the change (main, sub) is part of the read point. */
export function isVisible(main: Revision, sub: number, atMain: Revision, atSub: number): boolean {
  return main < atMain || (main === atMain && sub < atSub);
}

/** Finds the revision of the key at a read point; false if the key does not exist there. */
export function findAt(
  item: KeyItem,
  atMain: Revision,
  atSub: number,
  found: FoundRevision,
): boolean {
  if (isVisible(item.main, item.sub, atMain, atSub)) {
    if (item.dead) return false;
    found.main = item.main;
    found.sub = item.sub;
    found.created = item.created;
    found.version = item.version;
    found.bytes = item.bytes;
    found.location = item.location;
    return true;
  }
  const history = item.history;
  if (history === undefined) return false;
  found.location = noLocation;
  const count = history.revisions.length / 3;
  const i = lastVisible(history.revisions, atMain, atSub);
  if (i >= 0) {
    setFound(found, history.revisions, i, item.created, item.version - (count - i));
    return true;
  }
  for (let g = history.closed.length - 1; g >= 0; g -= 1) {
    const generation = history.closed[g] as ClosedGeneration;
    const last = generation.revisions.length / 3 - 1;
    const j = lastVisible(generation.revisions, atMain, atSub);
    if (j < 0) continue;
    if (j === last) return false;
    setFound(found, generation.revisions, j, generation.created, generation.version - (last - j));
    return true;
  }
  return false;
}

/** The key's next put; the item must be older than (main, sub). */
export function itemPut(
  item: KeyItem,
  main: Revision,
  sub: number,
  bytes: number,
  location: number,
): void {
  assert(isVisible(item.main, item.sub, main, sub), 'a put is newer than what it replaces');
  const history = pushLatest(item);
  if (item.dead) {
    history.closed.push({
      created: item.created,
      version: item.version,
      revisions: history.revisions,
    });
    history.revisions = [];
    item.created = main;
    item.version = 1;
    item.dead = false;
  } else {
    item.version += 1;
  }
  item.main = main;
  item.sub = sub;
  item.bytes = bytes;
  item.location = location;
}

/** Ends the newest generation with a tombstone. */
export function itemDelete(item: KeyItem, main: Revision, sub: number, bytes: number): void {
  assert(!item.dead, 'a tombstone ends a living generation');
  assert(isVisible(item.main, item.sub, main, sub), 'a tombstone is newer than what it deletes');
  pushLatest(item);
  item.version += 1;
  item.main = main;
  item.sub = sub;
  item.bytes = bytes;
  item.location = noLocation;
  item.dead = true;
}

/** Takes one revision that a compaction removed. */
export type DropRevision = (main: Revision, sub: number, bytes: number, tombstone: boolean) => void;

/**
 * Forgets what a compaction at `revision` removes, oldest first, calling `drop` for each: all but
 * the newest revision at or below it, and that too if it is a tombstone strictly below it (one
 * exactly at it stays until the next, L-6 and L-7). True if nothing of the key is left.
 */
export function compactItem(item: KeyItem, revision: Revision, drop: DropRevision): boolean {
  const history = item.history;
  if (history !== undefined) compactHistory(item, history, revision, drop);
  if (!item.dead || item.main >= revision) return false;
  drop(item.main, item.sub, item.bytes, true);
  return true;
}

/** Whether {@link compactItem} might find something to do. */
export function isCompactable(item: KeyItem): boolean {
  return item.dead || item.history !== undefined;
}

function compactHistory(
  item: KeyItem,
  history: ItemHistory,
  revision: Revision,
  drop: DropRevision,
): void {
  const closed = history.closed;
  let gone = 0;
  for (; gone < closed.length; gone += 1) {
    const revisions = (closed[gone] as ClosedGeneration).revisions;
    if ((revisions[revisions.length - 3] as number) >= revision) break;
    dropTriples(revisions, revisions.length / 3, drop, true);
  }
  if (gone > 0) history.closed = closed.slice(gone);
  const first = history.closed[0];
  if (first !== undefined) {
    first.revisions = trim(first.revisions, revision, drop);
  } else if (item.main <= revision) {
    dropTriples(history.revisions, history.revisions.length / 3, drop, false);
    history.revisions = [];
  } else {
    history.revisions = trim(history.revisions, revision, drop);
  }
  if (history.closed.length === 0 && history.revisions.length === 0) item.history = undefined;
}

/** Drops what is older than the newest revision at or below `revision`. */
function trim(list: RevisionList, revision: Revision, drop: DropRevision): RevisionList {
  const keep = lastVisible(list, revision, Number.POSITIVE_INFINITY);
  if (keep <= 0) return list;
  dropTriples(list, keep, drop, false);
  return list.slice(keep * 3);
}

function dropTriples(
  list: RevisionList,
  count: number,
  drop: DropRevision,
  lastIsTombstone: boolean,
): void {
  for (let i = 0; i < count; i += 1) {
    const tombstone = lastIsTombstone && i === count - 1;
    const at = i * 3;
    drop(list[at] as number, list[at + 1] as number, list[at + 2] as number, tombstone);
  }
}

/** Index of the newest visible triple, -1 if there is none. */
function lastVisible(list: RevisionList, atMain: Revision, atSub: number): number {
  let low = 0;
  let high = list.length / 3;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const visible = isVisible(
      list[middle * 3] as number,
      list[middle * 3 + 1] as number,
      atMain,
      atSub,
    );
    if (visible) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function setFound(
  found: FoundRevision,
  list: RevisionList,
  i: number,
  created: Revision,
  version: number,
): void {
  found.main = list[i * 3] as number;
  found.sub = list[i * 3 + 1] as number;
  found.bytes = list[i * 3 + 2] as number;
  found.created = created;
  found.version = version;
}

/**
 * Moves the newest revision into the history. Short lists are kept at their exact size: push()
 * would reserve room for 17 more numbers, more than most keys ever get before the next compaction.
 */
function pushLatest(item: KeyItem): ItemHistory {
  let history = item.history;
  if (history === undefined) {
    history = { revisions: [item.main, item.sub, item.bytes], closed: [] };
    item.history = history;
    return history;
  }
  const list = history.revisions;
  if (list.length === 0) history.revisions = [item.main, item.sub, item.bytes];
  else if (list.length < 24) history.revisions = list.concat([item.main, item.sub, item.bytes]);
  else list.push(item.main, item.sub, item.bytes);
  return history;
}
