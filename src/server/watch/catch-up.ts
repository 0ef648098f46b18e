/**
 * Serves watchers that are behind, from the history of the store, until they join the live ones.
 *
 * Watchers that are near each other form a group and share one scan; groups take turns, one page of
 * history each, so that a watcher far behind does not hold up one that is nearly there. What is
 * published while a page is being read is remembered (bounded), so that a group can join under any
 * load: the last step, from the end of the page to the present, is synchronous.
 *
 * What a watcher gets is not the page but what etcd would send: everything up to the revision that
 * was the last one when the pass began, or a thousand revisions of it, as one response. A full one
 * says in its header how far the store is by now (etcd), which is further than its events: only the
 * one after it shows that nothing is missing. It is cut earlier if its client would not take it, or
 * if too much is held; then the header says what has come.
 *
 * A watcher whose next revision is below the compacted one is cancelled; one that still needs
 * exactly the compacted revision gets it (L-6, L-7: the store keeps its tombstones). A page
 * whose reading began before a compaction is whole, for the store makes the compaction wait.
 */

import {
  assert,
  EtcdError,
  present,
  type Revision,
  runSteps,
  Slice,
  type Steps,
  sliceMsMax,
  turn,
} from '../../common/index.js';
import type { EventPage, MvccCommit } from '../../storage/index.js';
import { HeldEvents, WatchBatch } from './batch.js';
import type { WatchHub } from './hub.js';
import { EventSlot, type Watcher } from './types.js';
import { WatcherIndex } from './watcher-index.js';

/** Groups at once; more distances than that share. */
const groupsMax = 32;
/** More in a group would make its synchronous steps long. */
const groupMembersMax = 4096;
/** Revisions that a group reads again rather than having one group more. */
const groupSpanRevisions = 4000;
/** Commits and bytes of events remembered while history is read. */
const recentCommitsMax = 4096;
const recentBytesMax = 8 * 1024 * 1024;
/** Members up to which a page has its full size, and the smallest page. */
const fullPageMembers = 64;
const pageRevisionsMin = 32;
const pageBytesMin = 32 * 1024;
/** Previous values read at once. */
const previousReadsMax = 64;

/** Watchers that share a scan. */
export class CatchUpGroup {
  /** The next revision to read; no member needs an older one. */
  position: Revision;
  readonly index: WatcherIndex;
  readonly members = new Set<Watcher>();
  /** What members have been found and not been sent. */
  readonly held = new Map<Watcher, WatchBatch>();
  /** What is held is sent when all up to here has been read. */
  target: Revision;

  constructor(position: Revision, target: Revision, index: WatcherIndex) {
    this.position = position;
    this.target = target;
    this.index = index;
  }
}

/** The part of the hub that reads history. */
export class WatchCatchUp {
  readonly #hub: WatchHub;
  readonly #fatal: (error: unknown) => void;
  readonly #waiting = new Set<Watcher>();
  #groups: CatchUpGroup[] = [];
  #running = false;
  #closed = false;
  /** Counts restarts: what was read before one is of no use after it. */
  #epoch = 0;
  /** The last commits, without a gap up to the hub's revision, while running. */
  #recent: MvccCommit[] = [];
  #recentBytes = 0;
  readonly held = new HeldEvents();

  constructor(hub: WatchHub, fatal: (error: unknown) => void) {
    this.#hub = hub;
    this.#fatal = fatal;
  }

  /** A watcher in state `waiting`. */
  enqueue(watcher: Watcher): void {
    this.#waiting.add(watcher);
    if (this.#running) return;
    this.#running = true;
    // A turn later, so that what a burst of requests asks for shares a scan.
    this.#hub.clock.afterTurn(() => {
      this.#run().catch((error: unknown) => {
        if (!this.#closed) this.#fatal(error);
      });
    });
  }

  /** A watcher in state `waiting` or `reading` that goes. */
  remove(watcher: Watcher): void {
    if (watcher.state === 'waiting') this.#waiting.delete(watcher);
    else this.#leave(watcher);
  }

  /** Keeps a commit for those who are about to join. */
  remember(commit: MvccCommit): void {
    if (!this.#running) return;
    this.#recent.push(commit);
    this.#recentBytes += bytesOf(commit);
    if (this.#recent.length <= recentCommitsMax && this.#recentBytes <= recentBytesMax) return;
    this.#recent = this.#recent.slice((this.#recent.length >> 1) + 1);
    this.#recentBytes = 0;
    for (const kept of this.#recent) this.#recentBytes += bytesOf(kept);
  }

  /** What is published now is only to be had from history. */
  forgetRecent(): void {
    this.#recent = [];
    this.#recentBytes = 0;
  }

  /** The store is another one: all that read it start over from where they are. */
  restart(): void {
    this.#epoch += 1;
    this.forgetRecent();
    for (const group of this.#groups) {
      for (const watcher of group.members) this.#sendBack(watcher);
    }
    this.#groups = [];
  }

  /** Nothing is read any more, and what is being read is of no use. */
  close(): void {
    this.#closed = true;
    this.#epoch += 1;
  }

  /** From its group back to those who wait for one. */
  #sendBack(watcher: Watcher): void {
    this.#leave(watcher);
    watcher.state = 'waiting';
    this.enqueue(watcher);
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      this.#admit();
      const group = this.#groups[0];
      if (group === undefined) break;
      await this.#step(group);
      this.#rotate(group);
      await turn(this.#hub.clock);
    }
    this.#running = false;
    this.forgetRecent();
  }

  /** Those who wait join the nearest group behind them, or found one. */
  #admit(): void {
    for (const watcher of this.#waiting) {
      const group = this.#groupFor(watcher.nextRevision);
      if (group === undefined) continue;
      this.#waiting.delete(watcher);
      enter(watcher, group);
    }
  }

  #groupFor(revision: Revision): CatchUpGroup | undefined {
    let nearest: CatchUpGroup | undefined;
    let any: CatchUpGroup | undefined;
    for (const group of this.#groups) {
      if (group.members.size >= groupMembersMax) continue;
      any = group;
      const distance = revision - group.position;
      if (distance < 0 || (nearest !== undefined && nearest.position >= group.position)) continue;
      nearest = group;
    }
    if (nearest !== undefined && revision - nearest.position <= groupSpanRevisions) return nearest;
    if (this.#groups.length < groupsMax) {
      const index = new WatcherIndex(this.#hub.random);
      const group = new CatchUpGroup(revision, this.#hub.revision, index);
      this.#groups.push(group);
      return group;
    }
    if (nearest !== undefined) return nearest;
    if (any !== undefined) any.position = Math.min(any.position, revision);
    return any;
  }

  /** The group that had its turn goes to the end, unless it is done or caught up with another. */
  #rotate(group: CatchUpGroup): void {
    // A restart during the step has emptied the list.
    if (this.#groups[0] !== group) return;
    this.#groups.shift();
    if (group.members.size === 0) return;
    for (const other of this.#groups) {
      const ahead = other.position - group.position;
      if (ahead < 0 || ahead > groupSpanRevisions) continue;
      if (other.members.size + group.members.size > groupMembersMax) continue;
      for (const watcher of other.members) move(watcher, other, group);
      group.target = Math.max(group.target, other.target);
      this.#groups = this.#groups.filter((kept) => kept !== other);
      break;
    }
    this.#groups.push(group);
  }

  /** One page for one group, and if that brings it to the present, its way to the live ones. */
  async #step(group: CatchUpGroup): Promise<void> {
    const epoch = this.#epoch;
    if (group.position < this.#hub.store.compactRevision) {
      await this.#sendHeld(group, epoch);
      if (epoch !== this.#epoch) return;
      this.#cancelCompacted(group);
    }
    if (group.members.size === 0) return;
    if (group.position <= this.#hub.revision) {
      try {
        await this.#readPage(group, epoch);
      } catch (error) {
        // A store that is being replaced may fail as it likes.
        if (epoch === this.#epoch) throw error;
      }
      if (epoch !== this.#epoch) return;
    }
    if (this.#isNear(group) || group.position > group.target || this.#holdsTooMuch()) {
      await this.#sendHeld(group, epoch);
      if (epoch !== this.#epoch) return;
      group.target = this.#hub.revision;
    }
    if (this.#isNear(group) && group.held.size === 0) this.#join(group);
  }

  /** What is left to the present can be given at once. */
  #isNear(group: CatchUpGroup): boolean {
    return group.position > this.#hub.revision || this.#recentCovers(group.position);
  }

  #holdsTooMuch(): boolean {
    const { limits } = this.#hub;
    return this.held.bytes > limits.heldBytesMax || this.held.count > limits.heldEventsMax;
  }

  async #readPage(group: CatchUpGroup, epoch: number): Promise<void> {
    const { store, limits } = this.#hub;
    // Many members make many messages of one page: the work of a step stays about the same.
    const share = fullPageMembers / group.members.size;
    const page = await this.#read(
      group.position,
      shareOf(limits.catchUpRevisionsMax, share, pageRevisionsMin),
      shareOf(limits.catchUpBytesMax, share, pageBytesMin),
    );
    if (page === undefined || epoch !== this.#epoch) return;
    const slice = new Slice(this.#hub.clock);
    const touched = await match(group, page, slice);
    const missing = await previousToRead(touched, slice);
    for (let i = 0; i < missing.length; i += previousReadsMax) {
      const some = missing.slice(i, i + previousReadsMax);
      await Promise.all(some.map((slot) => readPrevious(store, slot)));
      if (some.some(() => !slice.next())) await slice.rest();
    }
    for (const [watcher, slots] of touched) {
      if (epoch !== this.#epoch) return;
      const waits = runSteps(this.#holdSteps(group, watcher, slots, page.throughRevision, slice));
      if (waits !== undefined) await waits;
    }
    if (epoch !== this.#epoch) return;
    group.position = Math.max(group.position, page.throughRevision + 1);
  }

  /** undefined: the store has compacted what was asked for meanwhile. */
  async #read(
    from: Revision,
    revisionsMax: number,
    bytesMax: number,
  ): Promise<EventPage | undefined> {
    const { store } = this.#hub;
    try {
      const page = await store.history(from, revisionsMax, bytesMax);
      const last = page.events.at(-1);
      assert(page.throughRevision >= from, 'a page of history goes forward');
      assert(
        last === undefined || last.modRevision <= page.throughRevision,
        'a page of history holds whole revisions',
      );
      return page;
    } catch (error) {
      const lost = error instanceof EtcdError && error.reason === 'COMPACTED';
      if (lost && from < store.compactRevision) return undefined;
      throw error;
    }
  }

  /** Adds what a page has for a watcher to its batch; a batch that is full is sent. */
  *#holdSteps(
    group: CatchUpGroup,
    watcher: Watcher,
    slots: readonly EventSlot[],
    through: Revision,
    slice: Slice,
  ): Steps<void> {
    // It may have been cancelled while previous values were read, or in a pause.
    if (watcher.group !== group) return;
    const { limits } = this.#hub;
    let batch = group.held.get(watcher) ?? this.#newBatch(group, watcher);
    for (const slot of slots) {
      if (!slice.next()) {
        yield slice.rest();
        if (group.held.get(watcher) !== batch) return;
      }
      if (!batch.isNext(slot)) continue;
      if (batch.isFull(slot, limits.catchUpRevisionsMax)) {
        if (!this.#send(watcher, batch, batch.lastRevision, this.#hub.revision)) return;
        batch = this.#newBatch(group, watcher);
      }
      batch.add(slot, watcher);
    }
    const fits = batch.bytes <= watcher.stream.responseBytesMax(watcher, batch.bytes);
    if (fits && !this.#holdsTooMuch()) return;
    const reached = Math.max(through, batch.lastRevision);
    this.#send(watcher, batch, reached, reached);
  }

  #newBatch(group: CatchUpGroup, watcher: Watcher): WatchBatch {
    const batch = new WatchBatch(this.held);
    group.held.set(watcher, batch);
    return batch;
  }

  /** Sends what the group holds: its members have everything below its position then. */
  #sendHeld(group: CatchUpGroup, epoch: number): Promise<void> {
    const through = group.position - 1;
    return this.#eachInSlices([...group.held], epoch, (watcher, batch) => {
      if (group.held.get(watcher) !== batch) return;
      // Further if the watcher came from a group that was, or if its group has gone back.
      const reached = Math.max(through, batch.lastRevision);
      this.#send(watcher, batch, reached, reached);
    });
  }

  /**
   * Sends a batch, which brings its watcher up to `through`; false if that is not in the group any
   * more: one that can't be sent to waits for its stream.
   */
  #send(watcher: Watcher, batch: WatchBatch, through: Revision, header: Revision): boolean {
    const { stream } = watcher;
    const bytesMax = stream.responseBytesMax(watcher, batch.bytes);
    const sent =
      batch.pieces.length === 0 ||
      (!stream.blocked && stream.sendEvents(watcher, batch.pieces, through, header, bytesMax));
    // The sink may have found out that its client is gone.
    if (!isReading(watcher)) return false;
    if (!sent) {
      this.#leave(watcher);
      this.#hub.resume(watcher);
      return false;
    }
    watcher.nextRevision = through + 1;
    watcher.group?.held.delete(watcher);
    batch.release();
    return true;
  }

  /** Calls `use` for those that are still reading, and gives way to the event loop in between. */
  async #eachInSlices<T>(
    list: Iterable<readonly [Watcher, T]>,
    epoch: number,
    use: (watcher: Watcher, item: T) => void,
  ): Promise<void> {
    const { clock } = this.#hub;
    let deadlineMs = clock.nowMs() + sliceMsMax;
    for (const [watcher, item] of list) {
      // It may have been cancelled while previous values were read, or in the pause below.
      if (!isReading(watcher)) continue;
      use(watcher, item);
      if (clock.nowMs() < deadlineMs) continue;
      await turn(this.#hub.clock);
      if (epoch !== this.#epoch) return;
      deadlineMs = clock.nowMs() + sliceMsMax;
    }
  }

  #cancelCompacted(group: CatchUpGroup): void {
    const { compactRevision } = this.#hub.store;
    if (group.position >= compactRevision) return;
    for (const watcher of group.members) {
      if (Math.max(watcher.nextRevision, group.position) >= compactRevision) continue;
      this.#leave(watcher);
      this.#hub.cancelCompacted(watcher);
    }
    group.position = compactRevision;
  }

  #recentCovers(revision: Revision): boolean {
    const first = this.#recent[0];
    return first !== undefined && first.revision <= revision;
  }

  /** The whole group goes live; the events of the last commits become pending like any others. */
  #join(group: CatchUpGroup): void {
    const from = group.position;
    const members = [...group.members];
    const missed: Array<readonly [Watcher, EventSlot]> = [];
    for (const commit of this.#recent) {
      if (commit.revision < from) continue;
      for (const event of commit.events) {
        let slot: EventSlot | undefined;
        for (const head of group.index.heads(event.key)) {
          for (let at: Watcher | undefined = head; at !== undefined; at = at.next) {
            if (!at.accepts(event)) continue;
            slot ??= new EventSlot(event);
            missed.push([at, slot]);
          }
        }
      }
    }
    for (const watcher of members) {
      this.#leave(watcher);
      this.#hub.join(watcher);
    }
    for (const [watcher, slot] of missed) {
      // One that wants a previous value which is not in memory has fallen behind again.
      if (watcher.state === 'synced') this.#hub.offerMissed(watcher, slot);
    }
  }

  /** Out of its group; what it was found and not sent has to be read again. */
  #leave(watcher: Watcher): void {
    const group = present(watcher.group, 'the group of a watcher');
    const batch = group.held.get(watcher);
    if (batch !== undefined) {
      group.held.delete(watcher);
      batch.release();
    }
    // It may lag behind the position of its group; not afterwards.
    const next = batch?.firstRevision ?? group.position;
    watcher.nextRevision = Math.max(watcher.nextRevision, next);
    detach(watcher, group);
  }
}

/** A share of `max`, but not less than `min` if there is that much. */
function shareOf(max: number, share: number, min: number): number {
  return Math.min(max, Math.max(min, Math.floor(max * share)));
}

/** A function, for the compiler believes of a check in place that calls leave it true. */
function isReading(watcher: Watcher): boolean {
  return watcher.state === 'reading';
}

/** What a commit keeps in memory, about: an event holds its value and the one before. */
function bytesOf(commit: MvccCommit): number {
  let bytes = 0;
  for (const event of commit.events) bytes += 2 * event.kv.length;
  return bytes;
}

function enter(watcher: Watcher, group: CatchUpGroup): void {
  assert(watcher.nextRevision >= group.position, 'a group reads all that its members need');
  watcher.state = 'reading';
  attach(watcher, group);
}

function attach(watcher: Watcher, group: CatchUpGroup): void {
  watcher.group = group;
  group.members.add(watcher);
  group.index.add(watcher);
}

function detach(watcher: Watcher, group: CatchUpGroup): void {
  group.members.delete(watcher);
  group.index.remove(watcher);
  watcher.group = undefined;
}

/** To a group that is further back, with what it was found. */
function move(watcher: Watcher, from: CatchUpGroup, to: CatchUpGroup): void {
  const batch = from.held.get(watcher);
  from.held.delete(watcher);
  if (batch?.firstRevision === undefined) {
    watcher.nextRevision = Math.max(watcher.nextRevision, from.position);
  } else to.held.set(watcher, batch);
  detach(watcher, from);
  attach(watcher, to);
}

/** The members that the page has something for, and what, before their filters. */
async function match(
  group: CatchUpGroup,
  page: EventPage,
  slice: Slice,
): Promise<Map<Watcher, EventSlot[]>> {
  const touched = new Map<Watcher, EventSlot[]>();
  for (const event of page.events) {
    if (!slice.next()) await slice.rest();
    let slot: EventSlot | undefined;
    for (const head of group.index.heads(event.key)) {
      for (let at: Watcher | undefined = head; at !== undefined; at = at.next) {
        if (event.modRevision < at.nextRevision) continue;
        slot ??= new EventSlot(event);
        const slots = touched.get(at);
        if (slots === undefined) touched.set(at, [slot]);
        else slots.push(slot);
        slice.next();
      }
    }
  }
  return touched;
}

/** Events that somebody wants with a previous value which is not in memory. */
async function previousToRead(
  touched: ReadonlyMap<Watcher, readonly EventSlot[]>,
  slice: Slice,
): Promise<EventSlot[]> {
  const missing = new Set<EventSlot>();
  for (const [watcher, slots] of touched) {
    if (!watcher.wantsPrev) continue;
    for (const slot of slots) {
      if (!slice.next()) await slice.rest();
      if (slot.prevKv === undefined && watcher.wants(slot.event.type, slot.revision)) {
        missing.add(slot);
      }
    }
  }
  return [...missing];
}

/** Absent without a word if the revision before has been compacted, as in etcd. */
async function readPrevious(store: WatchHub['store'], slot: EventSlot): Promise<void> {
  const query = {
    key: slot.event.key,
    rangeEnd: '',
    limit: 0,
    keysOnly: false,
    countOnly: false,
    sortOrder: 0,
    sortTarget: 0,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
  try {
    const at = { main: slot.revision - 1, sub: Number.POSITIVE_INFINITY };
    const found = await store.range(query, at);
    slot.setPrevious(found.kvs[0] ?? null);
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
    slot.setPrevious(null);
  }
}
