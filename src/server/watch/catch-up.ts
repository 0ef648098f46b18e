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
  type Clock,
  EtcdError,
  type Random,
  type Revision,
  runSteps,
  Slice,
  type Steps,
  sliceMsMax,
  turn,
} from '../../common/index.js';
import type { EventPage, MvccCommit, MvccStore } from '../../storage/index.js';
import type { Backpressure } from './backpressure.js';
import { CatchUpGroup } from './catch-up-group.js';
import { EventSlot } from './event-slot.js';
import type { WatchLimits } from './limits.js';
import { readPreviousValues } from './previous-values.js';
import { RecentCommits } from './recent-commits.js';
import { HeldEvents, ResponseBatch } from './response-batch.js';
import type { ResponseWriter } from './response-writer.js';
import type { Watcher } from './watcher.js';

/** Groups at once; more distances than that share. */
const groupsMax = 32;
/** More in a group would make its synchronous steps long. */
const groupMembersMax = 4096;
/** Revisions that a group reads again rather than having one group more. */
const groupSpanRevisions = 4000;
/** Members up to which a page has its full size, and the smallest page. */
const fullPageMembers = 64;
const pageRevisionsMin = 32;
const pageBytesMin = 32 * 1024;

/** What is read of the store. */
export type WatchStore = Pick<MvccStore, 'revision' | 'compactRevision' | 'history' | 'range'>;

/** What catching up needs of the hub. */
export interface CatchUpHub {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: WatchLimits;
  readonly store: WatchStore;
  /** The last revision that was published. */
  readonly revision: Revision;
  /** The history that a watcher needs is gone. */
  cancelCompacted(watcher: Watcher): void;
  /** Events have become pending outside of a batch of applies. */
  flushSoon(): void;
}

/** What catching up is given. */
export interface CatchUpOptions {
  readonly hub: CatchUpHub;
  readonly backpressure: Backpressure;
  readonly writer: ResponseWriter;
  /** The store failed or an invariant broke: the process has to end. */
  readonly fatal: (error: unknown) => void;
}

/** The part of the hub that reads history. */
export class WatchCatchUp {
  readonly held = new HeldEvents();
  readonly #hub: CatchUpHub;
  readonly #backpressure: Backpressure;
  readonly #writer: ResponseWriter;
  readonly #fatal: (error: unknown) => void;
  #groups: CatchUpGroup[] = [];
  #running = false;
  #closed = false;
  /** Counts restarts: what was read before one is of no use after it. */
  #epoch = 0;
  /** While running. */
  readonly #recent = new RecentCommits();

  constructor(options: CatchUpOptions) {
    this.#hub = options.hub;
    this.#backpressure = options.backpressure;
    this.#writer = options.writer;
    this.#fatal = options.fatal;
  }

  /** Somebody waits. */
  wake(): void {
    if (this.#running) return;
    this.#running = true;
    // A turn later, so that what a burst of requests asks for shares a scan.
    this.#hub.clock.afterTurn(() => {
      this.#run().catch((error: unknown) => {
        if (!this.#closed) this.#fatal(error);
      });
    });
  }

  /** Keeps a commit for those who are about to join. */
  remember(commit: MvccCommit): void {
    if (this.#running) this.#recent.add(commit);
  }

  /** What is published now is only to be had from history. */
  forgetRecent(): void {
    this.#recent.forget();
  }

  /** The store is another one: all that read it start over from where they are. */
  restart(): void {
    this.#epoch += 1;
    this.#recent.forget();
    for (const group of this.#groups) {
      for (const watcher of group.members) this.#backpressure.queue(watcher);
    }
    this.#groups = [];
  }

  /** Nothing is read any more, and what is being read is of no use. */
  close(): void {
    this.#closed = true;
    this.#epoch += 1;
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
    this.#recent.forget();
  }

  /** Those who wait join the nearest group behind them, or found one. */
  #admit(): void {
    for (const watcher of this.#backpressure.waiting) {
      const group = this.#groupFor(watcher.nextRevision);
      if (group !== undefined) this.#backpressure.read(watcher, group);
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
      const { revision: target, random } = this.#hub;
      const group = new CatchUpGroup(revision, target, random);
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
      group.absorb(other);
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
    return group.position > this.#hub.revision || this.#recent.covers(group.position);
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
    const touched = await group.match(page, slice);
    await readPreviousValues(store, touched, slice);
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
        if (!this.#send(group, watcher, batch, batch.lastRevision, this.#hub.revision)) return;
        batch = this.#newBatch(group, watcher);
      }
      batch.add(slot, watcher);
    }
    const fits = batch.bytes <= this.#writer.responseBytesMax(watcher, batch.bytes);
    if (fits && !this.#holdsTooMuch()) return;
    const reached = Math.max(through, batch.lastRevision);
    this.#send(group, watcher, batch, reached, reached);
  }

  #newBatch(group: CatchUpGroup, watcher: Watcher): ResponseBatch {
    const batch = new ResponseBatch(this.held);
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
      this.#send(group, watcher, batch, reached, reached);
    });
  }

  /**
   * Sends a batch, which brings its watcher up to `through`; false if that is not in the group any
   * more: one that can't be sent to waits for its stream.
   */
  #send(
    group: CatchUpGroup,
    watcher: Watcher,
    batch: ResponseBatch,
    through: Revision,
    header: Revision,
  ): boolean {
    const bytesMax = this.#writer.responseBytesMax(watcher, batch.bytes);
    const sent =
      batch.pieces.length === 0 ||
      (!watcher.stream.isFull &&
        this.#writer.sendEvents(watcher, batch.pieces, through, header, bytesMax));
    // The sink may have found out that its client is gone.
    if (!watcher.is('reading')) return false;
    if (!sent) {
      this.#backpressure.goOn(watcher);
      return false;
    }
    watcher.nextRevision = through + 1;
    group.held.delete(watcher);
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
      if (!watcher.is('reading')) continue;
      use(watcher, item);
      if (clock.nowMs() < deadlineMs) continue;
      await turn(clock);
      if (epoch !== this.#epoch) return;
      deadlineMs = clock.nowMs() + sliceMsMax;
    }
  }

  #cancelCompacted(group: CatchUpGroup): void {
    const { compactRevision } = this.#hub.store;
    if (group.position >= compactRevision) return;
    for (const watcher of group.members) {
      if (Math.max(watcher.nextRevision, group.position) >= compactRevision) continue;
      this.#hub.cancelCompacted(watcher);
    }
    group.position = compactRevision;
  }

  /** The whole group goes live; the events of the last commits become pending like any others. */
  #join(group: CatchUpGroup): void {
    const members = [...group.members];
    const missed: Array<readonly [Watcher, EventSlot]> = [];
    for (const commit of this.#recent.from(group.position)) {
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
    for (const watcher of members) this.#backpressure.sync(watcher);
    for (const [watcher, slot] of missed) {
      // One that wants a previous value which is not in memory has fallen behind again.
      if (watcher.is('synced')) this.#backpressure.offer(watcher, slot);
    }
    if (missed.length > 0) this.#hub.flushSoon();
  }
}

/** A share of `max`, but not less than `min` if there is that much. */
function shareOf(max: number, share: number, min: number): number {
  return Math.min(max, Math.max(min, Math.floor(max * share)));
}
