/**
 * Who waits for whom among the calls of one member: for each prefix one queue, in the order of the
 * create revisions of their keys.
 *
 * Only the first in a queue looks at the store and watches a key; the others wait until the one
 * before them has ended, somehow. That is no detour: whatever keys the one before waits for are
 * older than its own, so they stand in the way of all behind it as well. So ten thousand calls that
 * wait for one lock have one watch, and look through its keys once for each time that it is handed
 * on, not once for each that comes.
 */

import { assert, type KeyString } from '../../common/index.js';

/** The place of one call in a queue. */
export interface Place {
  /** Resolves when nobody of this member is before it. */
  readonly turn: Promise<void>;
  /** It does not wait any more. */
  leave(): void;
}

class Waiting implements Place {
  readonly revision: number;
  readonly turn: Promise<void>;
  before: Waiting | undefined;
  behind: Waiting | undefined;
  readonly #queue: Queue;
  #resolve: () => void = () => {};
  #hasLeft = false;

  constructor(queue: Queue, revision: number) {
    this.#queue = queue;
    this.revision = revision;
    this.turn = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  go(): void {
    this.#resolve();
  }

  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#queue.remove(this);
  }
}

class Queue {
  readonly #whenEmpty: () => void;
  #last: Waiting | undefined;

  constructor(whenEmpty: () => void) {
    this.#whenEmpty = whenEmpty;
  }

  enter(revision: number): Place {
    const place = new Waiting(this, revision);
    let before = this.#last;
    // Keys are made in the order of their revisions, so it nearly always belongs at the end.
    while (before !== undefined && before.revision > revision) before = before.before;
    place.before = before;
    if (before === undefined) {
      let first = this.#last;
      while (first?.before !== undefined) first = first.before;
      place.behind = first;
    } else place.behind = before.behind;
    if (place.behind !== undefined) place.behind.before = place;
    else this.#last = place;
    if (before !== undefined) before.behind = place;
    else place.go();
    return place;
  }

  remove(place: Waiting): void {
    const { before, behind } = place;
    if (before !== undefined) before.behind = behind;
    if (behind !== undefined) behind.before = before;
    else {
      assert(this.#last === place, 'nobody is behind the last');
      this.#last = before;
    }
    if (before === undefined) behind?.go();
    if (this.#last === undefined) this.#whenEmpty();
  }
}

/** The queues of a member, by prefix. */
export class Queues {
  readonly #byPrefix = new Map<KeyString, Queue>();

  /** How many prefixes somebody waits at. */
  get size(): number {
    return this.#byPrefix.size;
  }

  /** A place for the key with this create revision; whoever takes it must leave it. */
  enter(prefix: KeyString, revision: number): Place {
    let queue = this.#byPrefix.get(prefix);
    if (queue === undefined) {
      queue = new Queue(() => this.#byPrefix.delete(prefix));
      this.#byPrefix.set(prefix, queue);
    }
    return queue.enter(revision);
  }
}
