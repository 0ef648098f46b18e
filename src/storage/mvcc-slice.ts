/**
 * Bounds one synchronous piece of work by keys and by time: a key costs between 0.1 and 10 us,
 * depending on what is cached, so a number of keys alone says little about how long others wait.
 */

import { type Clock, mvccSliceKeysMax, sliceMsMax } from '../common/index.js';
import { turn } from './mvcc-state.js';

/** Looking at the clock after each key would cost more than some keys. */
const keysPerLook = 64;

/** The slice that is running; a long job makes one and begins it again after each turn. */
export class Slice {
  private readonly clock: Clock;
  private left = 0;
  private untilMs = 0;

  /** Begins the first slice. */
  constructor(clock: Clock) {
    this.clock = clock;
    this.begin();
  }

  begin(): void {
    this.left = mvccSliceKeysMax;
    this.untilMs = this.clock.nowMs() + sliceMsMax;
  }

  /** Counts one key; false if it was the last one of the slice. */
  next(): boolean {
    this.left -= 1;
    if (this.left % keysPerLook !== 0) return true;
    return this.left > 0 && this.clock.nowMs() < this.untilMs;
  }

  /** Gives way to the event loop and begins the next slice. */
  async rest(): Promise<void> {
    await turn(this.clock);
    this.begin();
  }
}
