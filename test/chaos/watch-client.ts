/**
 * A client that watches: some keys, on one member after the other, resuming where it was; sometimes
 * it begins in the past or in the future, sometimes it reads slowly. What came on one stream is a
 * watcher for the checker, judged and forgotten as soon as the truth is known that far.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { SimRandom } from '../../src/sim/index.js';
import { Report } from '../checkers/report.js';
import { checkWatches, type Watcher, type WatchMessage } from '../checkers/watch-checker.js';
import { ringEnd, ringPrefix } from '../workload/ring.js';
import { lastOf, resumeAfter, type WatchWish } from '../workload/watch-reader.js';
import { keys } from './kv-client.js';
import { WatchStream } from './watch-stream.js';
import type { World } from './world.js';

const lookMs = 300;
const silenceMsMax = 4000;
/** A watcher with more messages than this is replaced: what it keeps is memory. */
const messagesMax = 5000;

interface Watching {
  readonly watcher: Watcher;
  /** Newest revision it was told of. */
  toldOf: number;
  /** Everything up to here has come, as the server says. */
  through: number;
}

export class WatchClient {
  readonly #world: World;
  readonly #name: string;
  readonly #random: SimRandom;
  readonly #wish: Omit<WatchWish, 'startRevision'>;
  /** Where to go on: the revision after the last that has come. */
  #from = 1;
  #stream: WatchStream | undefined;
  #current: Watching | undefined;
  #heardMs = 0;
  #lastMember = '';
  #compacted = false;
  #paused = false;
  #settling = false;
  readonly #ended: Watching[] = [];
  watchers = 0;
  events = 0;

  constructor(world: World, number: number, random: SimRandom) {
    this.#world = world;
    this.#name = `watcher ${number}`;
    this.#random = random;
    // Two see everything; the others a key or a few.
    const all = number < 2;
    const at = random.below(keys.count);
    this.#wish = {
      key: all ? '\0' : number === 2 ? ringPrefix : keys.key(at),
      end: all ? '\0' : number === 2 ? ringEnd : random.chance(0.5) ? '' : keys.key(at + 2),
      previous: random.chance(0.6),
      noPut: !all && random.chance(0.2),
      noDelete: !all && random.chance(0.2),
      fragment: random.chance(0.3),
      progress: random.chance(0.5),
    };
  }

  async run(): Promise<void> {
    const world = this.#world;
    while (!world.stopping) {
      await sleep(lookMs * (0.5 + this.#random.float()));
      if (world.stopping || this.#settling) continue;
      if (this.#stream === undefined) await this.#begin();
      else this.#act();
    }
  }

  /** The end of the run: reads on, on a member that is there. */
  settle(): void {
    this.#settling = true;
    this.#paused = false;
    this.#stream?.resume();
  }

  /** True once it has been told that everything up to `revision` has come. */
  async complete(revision: number, timeoutMs: number): Promise<boolean> {
    for (const until = performance.now() + timeoutMs; performance.now() < until; ) {
      if (this.#stream === undefined) await this.#begin();
      const current = this.#current;
      if (current !== undefined && current.watcher.startRevision > revision) return true;
      if (current !== undefined && current.through >= revision) {
        current.watcher.completeThrough = revision;
        return true;
      }
      this.#stream?.askProgress();
      await sleep(lookMs);
    }
    return false;
  }

  /** Judges what has ended and is known to the truth; `isOver`: all of it, and the present one. */
  judge(isOver: boolean): Report {
    const report = new Report();
    if (isOver) this.#leave();
    const { truth, workload } = this.#world;
    const { compactedMax } = workload;
    const ready = this.#ended.filter(({ toldOf }) => isOver || toldOf <= truth.revision);
    for (const watching of ready) {
      this.#ended.splice(this.#ended.indexOf(watching), 1);
      report.add(checkWatches({ truth, watchers: [watching.watcher], compactedMax }));
    }
    return report;
  }

  #act(): void {
    const dice = this.#random.below(60);
    const isSilent = !this.#paused && performance.now() - this.#heardMs > silenceMsMax;
    const isFull = (this.#current?.watcher.messages.length ?? 0) > messagesMax;
    if (dice === 0 || isSilent || isFull) this.#leave();
    else if (dice < 3) {
      this.#paused = true;
      this.#stream?.pause();
    } else if (dice < 20) {
      this.#paused = false;
      this.#stream?.resume();
      this.#stream?.askProgress();
    } else if (dice < 30) this.#stream?.askProgress();
  }

  async #begin(): Promise<void> {
    const world = this.#world;
    const connection = await world.connect(this.#random, this.#lastMember);
    if (connection === undefined) return;
    if (world.closed) return connection.close();
    this.#lastMember = connection.member;
    this.#heardMs = performance.now();
    this.#paused = false;
    const startRevision = this.#start();
    const wish = { ...this.#wish, startRevision };
    const stream = new WatchStream(connection, wish, {
      onCreated: (revision) => {
        if (this.#stream !== stream) return;
        this.#heardMs = performance.now();
        this.#current = this.#watching(startRevision, revision);
        if (startRevision === 0) this.#from = revision + 1;
      },
      onMessage: (message) => {
        if (this.#stream === stream) this.#take(message);
      },
      onEnd: () => {
        if (this.#stream === stream) this.#leave();
      },
    });
    this.#stream = stream;
  }

  #start(): number {
    if (this.#compacted) {
      this.#compacted = false;
      return 0;
    }
    if (this.#settling) return this.#from;
    const dice = this.#random.below(20);
    const newest = this.#world.truth.revision;
    if (dice === 0) return 0;
    if (dice === 1) return newest + 1 + this.#random.below(100);
    if (dice === 2) return Math.max(1, newest - this.#random.below(100));
    if (dice === 3) return Math.max(1, newest - this.#random.below(5000));
    return this.#from;
  }

  #take(message: WatchMessage): void {
    this.#heardMs = message.atMs;
    const current = this.#current;
    if (current === undefined) return;
    const { events, revision, isProgress, compactRevision } = message;
    this.events += events.length;
    current.watcher.messages.push(message);
    current.toldOf = Math.max(current.toldOf, revision);
    const last = lastOf(message);
    current.through = Math.max(current.through, isProgress ? revision : last);
    if (last > 0) this.#world.sight(last);
    this.#from = resumeAfter(this.#from, message);
    if (compactRevision > 0) this.#compacted = true;
  }

  #leave(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.close();
    if (this.#current !== undefined) this.#ended.push(this.#current);
    this.#current = undefined;
  }

  #watching(startRevision: number, createdRevision: number): Watching {
    this.watchers += 1;
    const { key, end, previous, noPut, noDelete } = this.#wish;
    const name = `${this.#name} on ${this.#lastMember}`;
    const asked = { key, end, previous, noPut, noDelete, startRevision };
    return {
      watcher: { name, ...asked, createdRevision, messages: [], completeThrough: 0 },
      toldOf: 0,
      through: 0,
    };
  }
}
