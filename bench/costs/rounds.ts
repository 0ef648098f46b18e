/** A load that is asked in rounds: each sends all its requests in one turn and waits for all answers. */

import type { CostConnection, CostRequest } from './connection.js';

/** Sends requests and waits for their answers, again and again. */
export class Rounds {
  readonly #connections: readonly CostConnection[];
  readonly #watchers: readonly CostConnection[];
  readonly #shares: ReadonlyArray<readonly CostRequest[]>;
  readonly #expected: number;

  constructor(
    connections: readonly CostConnection[],
    requests: readonly CostRequest[],
    keepsOpen: boolean,
    watchers: readonly CostConnection[] = [],
  ) {
    this.#connections = connections;
    this.#watchers = watchers;
    this.#shares = connections.map((_, i) =>
      requests.filter((_request, n) => n % connections.length === i),
    );
    this.#expected = requests.length;
    if (keepsOpen && requests.length !== 1) throw new Error('one stream stays open at a time');
  }

  async run(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) await this.#round();
  }

  #round(): Promise<void> {
    const watched = this.#watched();
    const answered = this.#answered();
    for (const [i, connection] of this.#connections.entries()) {
      connection.send(this.#shares[i] ?? []);
    }
    return new Promise((resolve) => {
      const look = (): void => {
        const isDone =
          this.#answered() - answered >= this.#expected &&
          this.#watched() - watched >= this.#watchers.length;
        if (isDone) resolve();
        else setImmediate(look);
      };
      setImmediate(look);
    });
  }

  #answered(): number {
    let sum = 0;
    for (const { answers } of this.#connections) sum += answers;
    return sum;
  }

  #watched(): number {
    let sum = 0;
    for (const { answers } of this.#watchers) sum += answers;
    return sum;
  }
}
