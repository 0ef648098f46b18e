/**
 * One state of the store and the workers on it. There is one at a time, but for the moments in
 * which an installed state takes over: whoever reads then goes on with the parts it began with, so
 * nothing it finds is of both; the workers of the old parts come to a closed door.
 */

import { type Clock, installGraceMs, turn } from '../../common/index.js';
import { KvGate, replaced } from '../level/kv-gate.js';
import { SizeMeter } from '../level/size-meter.js';
import { Checkpointer } from '../recovery/checkpointer.js';
import { type Restored, restore } from '../recovery/restore.js';
import { Compactor } from './compact.js';
import { CompactionHashes } from './compaction-hashes.js';
import { Flusher } from './flush.js';
import { type MvccSetup, MvccState } from './state.js';

/** What the store hands its calls to. */
export class StoreParts {
  readonly state: MvccState;
  readonly flusher: Flusher;
  readonly compactor: Compactor;
  readonly hashes: CompactionHashes;
  readonly meter: SizeMeter;
  readonly #checkpointer: Checkpointer;
  readonly #gate: KvGate;
  #isRetired = false;

  constructor(
    state: MvccState,
    gate: KvGate,
    restored: Restored,
    hashes: CompactionHashes,
    onFatal: (error: Error) => void,
  ) {
    const unlessRetired = (error: Error): void => {
      if (!this.#isRetired) onFatal(error);
    };
    const { mark, checkpoint } = restored;
    this.state = state;
    this.#gate = gate;
    this.flusher = new Flusher(state, mark, unlessRetired);
    this.hashes = hashes;
    this.meter = new SizeMeter(gate, state.clock);
    this.compactor = new Compactor(state, this.flusher, hashes, this.meter, unlessRetired);
    const checkpointer = new Checkpointer(state, this.flusher, checkpoint, unlessRetired);
    this.flusher.onWritten = () => {
      checkpointer.kick();
      this.meter.kick();
    };
    this.#checkpointer = checkpointer;
  }

  /** Bytes of all that is stored and not yet removed; also of what is still to be written. */
  get inUseBytes(): number {
    const checkpointer = this.#checkpointer;
    const { state, flusher } = this;
    return state.sizeBytes + state.metaBytes + checkpointer.savedBytes + flusher.markBytes;
  }

  /** Goes on with what was left to do in the background. */
  start(): void {
    void this.meter.measure();
    this.compactor.kick();
    this.#checkpointer.kick();
  }

  /** Writes everything and closes the KvStore. Nothing may be applied afterwards. */
  async close(): Promise<void> {
    this.state.closed = true;
    try {
      await this.meter.close();
      await this.compactor.close();
      const sound = await this.flusher.close();
      await this.#checkpointer.close(sound);
    } finally {
      await this.#gate.close();
    }
  }

  /** Synchronous: from here on nothing changes here, but for the write that is under way. */
  retire(): void {
    this.#isRetired = true;
    this.state.closed = true;
    this.#gate.refuseWrites();
  }

  /** Ends what still runs on retired parts, then closes the KvStore. */
  async end(): Promise<void> {
    const gate = this.#gate;
    const checkpointer = this.#checkpointer;
    const { state, compactor, flusher, meter } = this;
    await meter.close();
    await untilOrAfter(state.pins.waitBelow(Number.POSITIVE_INFINITY), state.clock, installGraceMs);
    await gate.refuseAll();
    // Whoever still waits for a flush learns that there will be none, so nobody holds a pin now.
    await turn(state.clock);
    await flusher.close().catch(() => {});
    await compactor.close(replaced());
    await checkpointer.close(false);
    await gate.close();
  }
}

/**
 * Brings back what `setup.kv` holds; gives way to the event loop as restore does. `hashes` are those
 * of the state before, if there is one.
 */
export async function openParts(
  setup: MvccSetup,
  onFatal: (error: Error) => void,
  hashes = new CompactionHashes(),
): Promise<StoreParts> {
  const gate = new KvGate(setup.kv);
  const state = new MvccState({ ...setup, kv: gate });
  return new StoreParts(state, gate, await restore(state), hashes, onFatal);
}

/** Resolves with `work`, or when `delayMs` are over. */
function untilOrAfter(work: Promise<void>, clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(delayMs, resolve);
    void work.then(() => {
      timer.cancel();
      resolve();
    });
  });
}
