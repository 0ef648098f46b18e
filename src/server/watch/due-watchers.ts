/** The watchers that have events pending, in the order in which they got them. */

import { assert } from '../../common/index.js';
import type { Watcher } from './watcher.js';

/** Taken entries at the front of the list above which it is shortened. */
const takenMax = 8192;

/** Each watcher once. One that has nothing pending any more stays until its turn. */
export class DueWatchers {
  #watchers: Watcher[] = [];
  #taken = 0;

  get isEmpty(): boolean {
    return this.#taken === this.#watchers.length;
  }

  add(watcher: Watcher): void {
    if (watcher.isDue) return;
    watcher.isDue = true;
    this.#watchers.push(watcher);
  }

  /** The one whose turn it is; undefined: nobody is left. */
  take(): Watcher | undefined {
    if (this.isEmpty) return undefined;
    const watcher = this.#watchers[this.#taken] as Watcher;
    assert(watcher.isDue, 'each watcher is in the list once');
    this.#taken += 1;
    watcher.isDue = false;
    return watcher;
  }

  /** After some were taken: gives back the room of those. */
  shorten(): void {
    if (this.isEmpty) this.#watchers = [];
    else if (this.#taken > takenMax) this.#watchers = this.#watchers.slice(this.#taken);
    else return;
    this.#taken = 0;
  }
}
