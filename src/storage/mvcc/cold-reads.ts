/**
 * Reads of what is not in memory, of all calls: how many go at once, and what goes together.
 *
 * Each call of the KvStore takes one of the few threads that make the log durable, too, for as long
 * as the disk takes, so only so many of them are under way: the others wait here, where nobody
 * waits for them. What waits goes out with one call when its turn comes, because the way to the
 * thread and back costs several times what a record costs that the system has in memory. With
 * nothing under way there is no waiting, but for the end of the turn in which it was asked for.
 *
 * Records wait apart from pages of large reads, of which only one is under way, so that they do not
 * keep the others waiting. What an entry needs that is being applied does not come here at all: one
 * is applied at a time, and waits for no reader.
 */

import {
  type Clock,
  coldPageBytes,
  coldPageRecords,
  coldReadsAtOnceMax,
  type KvScan,
  type KvStore,
} from '../../common/index.js';

interface Wanted {
  readonly keys: readonly Buffer[];
  readonly bytes: number;
  readonly resolve: (values: ReadonlyArray<Buffer | undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/** What waits in one lane; taken from the front. */
class Queue {
  #waiting: Wanted[] = [];
  #first = 0;

  get isEmpty(): boolean {
    return this.#first === this.#waiting.length;
  }

  add(wanted: Wanted): void {
    this.#waiting.push(wanted);
  }

  /** As many from the front as go well with one call, one at least. */
  take(): Wanted[] {
    const waiting = this.#waiting;
    let next = this.#first;
    let records = 0;
    let bytes = 0;
    while (next < waiting.length) {
      const wanted = waiting[next] as Wanted;
      records += wanted.keys.length;
      bytes += wanted.bytes;
      if (next > this.#first && (records > coldPageRecords || bytes > coldPageBytes)) break;
      next += 1;
    }
    const taken = waiting.slice(this.#first, next);
    this.#first = next;
    if (next * 2 > waiting.length) {
      this.#waiting = waiting.slice(next);
      this.#first = 0;
    }
    return taken;
  }
}

/** The reads of one state. */
export class ColdReads {
  readonly #kv: KvStore;
  readonly #clock: Clock;
  readonly #records = new Queue();
  #recordCalls = 0;
  /** Each begins a page. */
  #pages: Array<() => void> = [];
  #pageRuns = false;
  #armed = false;

  constructor(kv: KvStore, clock: Clock) {
    this.#kv = kv;
    this.#clock = clock;
  }

  /** As the KvStore's `getMany`, for a few records; they take `bytes`, about. */
  records(keys: readonly Buffer[], bytes: number): Promise<ReadonlyArray<Buffer | undefined>> {
    return new Promise((resolve, reject) => {
      this.#records.add({ keys, bytes, resolve, reject });
      this.#arm();
    });
  }

  /** As the KvStore's `getMany`, for a page of a large read. */
  page(keys: readonly Buffer[]): Promise<Array<Buffer | undefined>> {
    return this.#asPage(() => this.#kv.getMany(keys));
  }

  /** As the KvStore's `scan`. */
  scan(range: KvScan): Promise<Array<readonly [Buffer, Buffer]>> {
    return this.#asPage(() => this.#kv.scan(range));
  }

  async #asPage<T>(read: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => {
      this.#pages.push(resolve);
      this.#arm();
    });
    try {
      return await read();
    } finally {
      this.#pageRuns = false;
      this.#arm();
    }
  }

  /** What is asked for in this turn goes together. */
  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#clock.afterTurn(this.#begin);
  }

  readonly #begin = (): void => {
    this.#armed = false;
    if (!this.#pageRuns && this.#recordCalls < coldReadsAtOnceMax) {
      const page = this.#pages.shift();
      this.#pageRuns = page !== undefined;
      page?.();
    }
    // A page that waits gets the next place, or it might wait for good.
    const forPages = this.#pageRuns || this.#pages.length > 0 ? 1 : 0;
    const recordCallsMax = coldReadsAtOnceMax - forPages;
    while (!this.#records.isEmpty && this.#recordCalls < recordCallsMax) this.#send();
  };

  #send(): void {
    const wanted = this.#records.take();
    this.#recordCalls += 1;
    const keys = wanted.flatMap((one) => one.keys);
    this.#kv.getMany(keys).then(
      (values) => {
        this.#recordsCame();
        let from = 0;
        for (const { keys: asked, resolve } of wanted) {
          resolve(values.slice(from, from + asked.length));
          from += asked.length;
        }
      },
      (error: unknown) => {
        this.#recordsCame();
        for (const { reject } of wanted) reject(error);
      },
    );
  }

  #recordsCame(): void {
    this.#recordCalls -= 1;
    if (!this.#records.isEmpty || this.#pages.length > 0) this.#arm();
  }
}
