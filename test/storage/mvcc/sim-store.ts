/** A store on a simulated KvStore and clock, for tests that crash it. */

import { SimClock, SimKvDisk, SimRandom } from '../../../src/sim/index.js';
import type { MvccStore, MvccStoreOptions } from '../../../src/storage/index.js';
import { openStore } from './helpers.js';

export class SimStore {
  readonly clock = new SimClock();
  readonly disk: SimKvDisk;
  readonly fatal: Error[] = [];
  private opened: MvccStore | undefined;
  private readonly options: Partial<MvccStoreOptions>;

  /** From so many keys on the saved index is used. */
  checkpointKeysMin = 10_000;
  /** A shorter journal of the index is not replaced by a checkpoint. */
  journalBytesMin = 16 * 1024 * 1024;

  constructor(seed: number, options: Partial<MvccStoreOptions> = {}, loseAllUnsynced = false) {
    const random = new SimRandom(seed);
    this.disk = new SimKvDisk({ clock: this.clock, random, latencyMsMax: 1, loseAllUnsynced });
    this.options = options;
  }

  get store(): MvccStore {
    if (this.opened === undefined) throw new Error('not open');
    return this.opened;
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.clock.runUntil(promise);
  }

  /** Lets simulated time pass. */
  wait(ms: number): Promise<void> {
    return this.clock.run(this.clock.nowMs() + ms);
  }

  async open(): Promise<MvccStore> {
    const onFatal = (error: Error): void => {
      this.fatal.push(error);
    };
    const { checkpointKeysMin, journalBytesMin } = this;
    const saving = { checkpointKeysMin, journalBytesMin };
    const opening = this.disk
      .open('d')
      .then((kv) => openStore(kv, this.clock, this.options, onFatal, saving));
    this.opened = await this.run(opening);
    return this.opened;
  }

  async restart(): Promise<MvccStore> {
    await this.run(this.store.close());
    return this.open();
  }

  crash(): Promise<MvccStore> {
    this.disk.crash('d');
    return this.open();
  }
}
