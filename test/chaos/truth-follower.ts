/**
 * Learns what really happened, from a watch of everything from revision 1: on one member until that
 * falls silent, then on another, going on after the last revision. Every revision has to come, in
 * order, so that a watch that loses one is found here already; answers and other watches are held
 * against what came.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { SimRandom } from '../../src/sim/index.js';
import { type Change, deleted } from '../checkers/truth.js';
import type { SeenEvent, WatchMessage } from '../checkers/watch-checker.js';
import { WatchStream } from './watch-stream.js';
import type { World } from './world.js';

const lookMs = 250;
/** It asks for progress, so silence means that the member is cut off, or gone. */
const silenceMsMax = 1500;

export class TruthFollower {
  readonly #world: World;
  readonly #random: SimRandom;
  #stream: WatchStream | undefined;
  #heardMs = 0;
  #lastMember = '';
  #stopped = false;
  /** Streams that it needed. */
  streams = 0;

  constructor(world: World, random: SimRandom) {
    this.#world = world;
    this.#random = random;
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      if (this.#stream === undefined) await this.#begin();
      else if (performance.now() - this.#heardMs > silenceMsMax) this.#leave();
      else this.#stream.askProgress();
      await sleep(lookMs);
    }
    this.#leave();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #begin(): Promise<void> {
    const world = this.#world;
    const connection = await world.connect(this.#random, this.#lastMember);
    if (connection === undefined) return;
    this.#lastMember = connection.member;
    this.#heardMs = performance.now();
    this.streams += 1;
    const stream = new WatchStream(
      connection,
      {
        ...{ key: '\0', end: '\0', startRevision: world.truth.revision + 1 },
        ...{ previous: false, noPut: false, noDelete: false, fragment: false, progress: false },
      },
      {
        onCreated: () => {},
        onMessage: (message) => {
          if (this.#stream === stream) this.#take(message);
        },
        onEnd: () => {
          if (this.#stream === stream) this.#stream = undefined;
        },
      },
    );
    this.#stream = stream;
  }

  #leave(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  #take(message: WatchMessage): void {
    this.#heardMs = performance.now();
    const { report, truth } = this.#world;
    if (message.compactRevision > 0) {
      // Only what it has seen is ever compacted.
      report.violate('truth: nothing unseen is compacted', `at ${message.compactRevision}`);
      this.#stopped = true;
    }
    const { events } = message;
    for (let i = 0; i < events.length; ) {
      const revision = events[i]?.kv.mod ?? 0;
      let end = i;
      while (end < events.length && events[end]?.kv.mod === revision) end += 1;
      const isNext = report.check(
        'truth: every revision comes once',
        revision === truth.revision + 1,
        () => `${revision} after ${truth.revision} from ${this.#lastMember}`,
        message.atMs,
      );
      if (!isNext) {
        this.#leave();
        return;
      }
      const changes = events.slice(i, end).map(changeOf);
      truth.append(changes);
      this.#world.seenMs.push(message.atMs);
      if (changes.every(isLeaseDelete)) this.#world.leaseDeletesMs.set(revision, message.atMs);
      i = end;
    }
    this.#world.sight(truth.revision);
  }
}

/** Only the end of a lease deletes such keys: no client does. */
function isLeaseDelete({ type, key }: Change): boolean {
  return type === 'delete' && key.startsWith('lease/');
}

function changeOf({ type, kv }: SeenEvent): Change {
  if (type === 'delete') return deleted(kv.key);
  const { key, value, create, version, lease } = kv;
  return { type, key, value, create, version, lease };
}
