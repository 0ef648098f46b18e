/**
 * Writes the value of a key that belongs to one session, again and again. Each write names the one
 * before it, so that one whose reply was lost, and which arrives late, can't undo a later one;
 * that is what makes repeating it safe.
 */

import type { LeaseId, Revision } from '../../common/index.js';
import type { Bytes, KeyValue } from '../keyspace/index.js';
import type { Kv } from '../kv/index.js';
import { persist } from './scope.js';

interface Runtime {
  readonly clock: Parameters<typeof persist>[0]['clock'];
  readonly random: { float(): number };
}

export interface ValueWriterOptions {
  readonly runtime: Runtime;
  readonly kv: Kv<Buffer, Bytes>;
  readonly key: string;
  readonly lease: LeaseId;
  /** Of the key, as far as it is known; 0: it is not there. */
  readonly modRevision: Revision;
  /** Whether what is there (undefined: nothing) may be written over. */
  readonly mayReplace: (there: KeyValue<Buffer> | undefined) => boolean;
}

export class ValueWriter {
  readonly #options: ValueWriterOptions;
  #modRevision: Revision;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ValueWriterOptions) {
    this.#options = options;
    this.#modRevision = options.modRevision;
  }

  /** One after the other. False if what is there may not be written over. */
  write(encoded: Buffer, signal: AbortSignal): Promise<boolean> {
    const { runtime } = this.#options;
    const done = this.#last.then(() =>
      persist(runtime, signal, () => this.#attempt(encoded, signal)),
    );
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #attempt(encoded: Buffer, signal: AbortSignal): Promise<boolean> {
    const { kv, key, lease, mayReplace } = this.#options;
    for (;;) {
      const done = await kv
        .txn()
        .if(kv.when(key).modRevision('=', this.#modRevision))
        .then(kv.ops.put(key, encoded, { lease }))
        .else(kv.ops.get(key))
        .commit({ signal });
      if (done.ok) {
        this.#modRevision = done.revision;
        return true;
      }
      const [there] = done.results;
      if (!mayReplace(there)) return false;
      this.#modRevision = there?.modRevision ?? 0;
      if (there?.lease === lease && there.value.equals(encoded)) return true;
    }
  }
}
