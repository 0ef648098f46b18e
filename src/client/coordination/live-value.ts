/**
 * A value that changes, for any number of readers. Each reader gets the value now, and then the
 * newest each time it asks; what came in between is not kept, so nothing grows.
 */

interface State<T> {
  readonly value: T;
  /** Counts changes. */
  readonly version: number;
}

export class LiveValue<T> {
  #state: State<T> | undefined;
  #ended = false;
  #error: unknown;
  #wake: Array<() => void> = [];

  /** Undefined before the first. */
  get current(): T | undefined {
    return this.#state?.value;
  }

  /** Why there will be no more; undefined if there may be, or it was ended. */
  get error(): unknown {
    return this.#error;
  }

  set(value: T): void {
    if (this.#ended) return;
    this.#state = { value, version: (this.#state?.version ?? 0) + 1 };
    this.#wakeAll();
  }

  /** No more; readers end, or throw the error. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wakeAll();
  }

  async *read(): AsyncGenerator<T, undefined, void> {
    let seen = 0;
    for (;;) {
      const state = this.#state;
      if (this.#ended) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      if (state !== undefined && state.version > seen) {
        seen = state.version;
        yield state.value;
      } else {
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    }
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
