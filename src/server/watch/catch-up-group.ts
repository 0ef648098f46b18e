/**
 * Watchers that are near each other in the past, and share one scan of history. A watcher may lag
 * behind the position of its group while its response is being gathered; when it leaves, what it
 * was found and not sent has to be read again.
 */

import { assert, type Random, type Revision, type Slice } from '../../common/index.js';
import type { EventPage } from '../../storage/index.js';
import { EventSlot } from './event-slot.js';
import type { ResponseBatch } from './response-batch.js';
import type { Watcher, WatcherGroup } from './watcher.js';
import { WatcherIndex } from './watcher-index.js';

/** Its members are the watchers in state `reading` that have it as their group. */
export class CatchUpGroup implements WatcherGroup {
  /** The next revision to read; no member needs an older one. */
  position: Revision;
  /** What is held is sent when all up to here has been read. */
  target: Revision;
  readonly index: WatcherIndex;
  readonly members = new Set<Watcher>();
  /** What members have been found and not been sent. */
  readonly held = new Map<Watcher, ResponseBatch>();

  constructor(position: Revision, target: Revision, random: Random) {
    this.position = position;
    this.target = target;
    this.index = new WatcherIndex(random);
  }

  add(watcher: Watcher): void {
    assert(watcher.nextRevision >= this.position, 'a group reads all that its members need');
    this.members.add(watcher);
    this.index.add(watcher);
  }

  remove(watcher: Watcher): void {
    const batch = this.held.get(watcher);
    if (batch !== undefined) {
      this.held.delete(watcher);
      batch.release();
    }
    const next = batch?.firstRevision ?? this.position;
    watcher.nextRevision = Math.max(watcher.nextRevision, next);
    this.#detach(watcher);
  }

  #detach(watcher: Watcher): void {
    const wasMember = this.members.delete(watcher);
    assert(wasMember, 'only members leave a group');
    this.index.remove(watcher);
  }

  /** All members of a group that is as far or further, with what they were found. */
  absorb(ahead: CatchUpGroup): void {
    assert(ahead.position >= this.position, 'a group reads all that its members need');
    for (const watcher of ahead.members) {
      const batch = ahead.held.get(watcher);
      ahead.held.delete(watcher);
      if (batch?.firstRevision === undefined) {
        watcher.nextRevision = Math.max(watcher.nextRevision, ahead.position);
      } else this.held.set(watcher, batch);
      ahead.#detach(watcher);
      this.members.add(watcher);
      this.index.add(watcher);
      watcher.group = this;
    }
    this.target = Math.max(this.target, ahead.target);
  }

  /** The members that the page has something for, and what, before their filters. */
  async match(page: EventPage, slice: Slice): Promise<Map<Watcher, EventSlot[]>> {
    const touched = new Map<Watcher, EventSlot[]>();
    for (const event of page.events) {
      if (!slice.next()) await slice.rest();
      let slot: EventSlot | undefined;
      for (const head of this.index.heads(event.key)) {
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
}
