/** Watches terms and leaders from outside: how many elections there were, and that no term had two. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from './world.js';

const everyMs = 150;

export class Observer {
  readonly #world: World;
  /** By term: the member that said of itself that it leads. */
  readonly #leaders = new Map<number, string>();
  readonly versions = new Set<string>();
  termMax = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Terms in which somebody was seen to lead. */
  get elections(): number {
    return this.#leaders.size;
  }

  async run(): Promise<void> {
    while (!this.#world.stopping) {
      await this.look();
      await sleep(everyMs);
    }
  }

  async look(): Promise<void> {
    const { cluster, report } = this.#world;
    await Promise.all(
      cluster.alive.map(async (member) => {
        const status = await member.status(500);
        if (status === undefined) return;
        const { id, leader, term, version } = status;
        this.versions.add(version);
        this.termMax = Math.max(this.termMax, term);
        if (leader !== id) return;
        const other = this.#leaders.get(term);
        report.check(
          'raft: one leader a term',
          other === undefined || other === `${member.name} ${id}`,
          () => `${other} and ${member.name} ${id} led in term ${term}`,
          this.#world.nowMs(),
        );
        this.#leaders.set(term, `${member.name} ${id}`);
      }),
    );
  }
}
