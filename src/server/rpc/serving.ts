/** Whether this member tells clients that it serves (grpc.health.v1), and who wants to know. */

export class Serving {
  #notServing = 0;
  readonly #listeners = new Set<() => void>();

  get isServing(): boolean {
    return this.#notServing === 0;
  }

  /** Told after each change; returns how to unsubscribe. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Does `work`; meanwhile this member does not serve. */
  async pausedFor<T>(work: () => Promise<T>): Promise<T> {
    this.#add(1);
    try {
      return await work();
    } finally {
      this.#add(-1);
    }
  }

  #add(change: 1 | -1): void {
    const before = this.isServing;
    this.#notServing += change;
    if (this.isServing === before) return;
    for (const listener of [...this.#listeners]) listener();
  }
}
