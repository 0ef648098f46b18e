/**
 * Clients that watch: each follows some keys for as long as the run goes on, on one member after
 * the other, resuming where it was; some read slowly. What comes is kept for the checker.
 */

import {
  decodeWatchResponse,
  encodeWatchProgressRequest,
  type WatchResponse,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import type { SeenRevision } from '../checkers/revision-checker.js';
import type { Watcher, WatchMessage } from '../checkers/watch-checker.js';
import {
  encodeWish,
  lastOf,
  resumeAfter,
  WatchReader,
  type WatchWish,
} from '../workload/watch-reader.js';
import type { Credentials } from './credentials.js';
import { authenticate, type ClientWorld } from './kv-client.js';
import type { SimProcess } from './machine.js';
import { SimStream } from './stream.js';

const method = '/etcdserverpb.Watch/Watch';

/** What a watch is for. */
export type Wanted = Pick<WatchWish, 'key' | 'end' | 'previous' | 'noPut' | 'noDelete'>;

export class WatchClient {
  readonly watchers: Watcher[] = [];
  readonly seen: SeenRevision[] = [];
  eventCount = 0;
  readonly #world: ClientWorld;
  readonly #name: string;
  readonly #random: SimRandom;
  readonly #wanted: Wanted;
  /** Where to go on: the revision after the last that has come. */
  #from = 1;
  #process: SimProcess | undefined;
  #stream: SimStream | undefined;
  #current: Watcher | undefined;
  #compacted = false;
  /** Authenticating. */
  #isBusy = false;
  readonly #credentials: Credentials | undefined;
  /** Told of each watch that was created, and at which revision. */
  readonly #onCreated: ((wanted: Wanted, revision: number) => void) | undefined;

  constructor(
    world: ClientWorld,
    number: number,
    random: SimRandom,
    guest?: {
      readonly wanted: Wanted;
      readonly credentials: Credentials;
      readonly onCreated: (wanted: Wanted, revision: number) => void;
    },
  ) {
    this.#world = world;
    this.#name = `watcher ${number}`;
    this.#random = random;
    this.#credentials = guest?.credentials ?? world.credentialsFor(method);
    this.#onCreated = guest?.onCreated;
    if (guest !== undefined) {
      this.#wanted = guest.wanted;
      return;
    }
    // The first one wants all there is: it is the truth of those who have no log.
    const all = number === 0 || random.chance(0.3);
    const single = random.chance(0.5);
    this.#wanted = {
      key: all ? '\0' : 'k',
      end: all ? '\0' : 'l',
      ...(single && !all ? { key: 'k0', end: '' } : {}),
      previous: random.chance(0.6),
      noPut: !all && random.chance(0.2),
      noDelete: !all && random.chance(0.2),
    };
  }

  async run(): Promise<void> {
    const { knobs } = this.#world;
    while (!this.#world.stopping) {
      await this.#world.sleep(knobs.electionMs * (0.2 + this.#random.float()));
      if (this.#world.stopping) return;
      if (this.#process?.alive !== true || this.#stream === undefined) this.#begin();
      else this.#act();
    }
  }

  /** Makes sure that it follows somebody who is there, and reads. */
  settle(): void {
    // One that was removed may not know it: it says nothing any more, and nothing wrong.
    if (this.#process?.machine.retired === true) this.#stop();
    if (this.#process?.alive !== true || this.#stream === undefined) this.#begin();
    this.#stream?.unstick();
  }

  /** Wants nothing more. */
  leave(): void {
    this.#stop();
  }

  /** The run is over, and all has come that will. */
  finish(revision: number): void {
    if (this.#current !== undefined) this.#current.completeThrough = revision;
  }

  #act(): void {
    const dice = this.#random.below(10);
    if (dice === 0) this.#stop();
    else if (dice < 3) this.#stream?.stick();
    else if (dice < 6) this.#stream?.unstick();
    else if (dice < 8) this.#ask(encodeWatchProgressRequest());
  }

  #begin(): void {
    const process = this.#world.anyServing(this.#random);
    if (process === undefined || this.#isBusy) return;
    const credentials = this.#credentials;
    if (credentials === undefined) {
      this.#open(process);
      return;
    }
    this.#isBusy = true;
    void authenticate(this.#world, process, credentials).then(() => {
      this.#isBusy = false;
      this.#open(process);
    });
  }

  #open(process: SimProcess): void {
    const token = this.#credentials?.token;
    this.#process = process;
    this.#current = undefined;
    // Now and then "from now on", where that leaves nothing out.
    const startRevision = this.#compacted ? 0 : this.#from;
    this.#compacted = false;
    const reader = new WatchReader({
      onCreated: (revision) => this.#created(startRevision, revision),
      onMessage: (answer) => this.#take(answer),
      onCanceled: (reason) => {
        this.#credentials?.heard(token, reason);
        this.#stop();
      },
    });
    const stream = new SimStream(
      process.methods.get(method),
      (message) => {
        if (this.#stream === stream) this.#receive(decodeWatchResponse(message), reader);
      },
      (text) => {
        this.#world.trace.add(`${this.#name} ended: ${text}`);
        if (this.#stream === stream) this.#stop();
      },
      token,
    );
    this.#stream = stream;
    process.clock.afterTurn(() => {
      if (this.#stream !== stream) return;
      stream.open();
      this.#ask(
        encodeWish({
          ...this.#wanted,
          startRevision,
          progress: this.#random.chance(0.5),
          fragment: this.#random.chance(0.3),
        }),
      );
    });
  }

  #ask(bytes: Buffer): void {
    const stream = this.#stream;
    this.#process?.clock.afterTurn(() => {
      if (this.#stream === stream) stream?.send(bytes);
    });
  }

  #stop(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#current = undefined;
    const process = this.#process;
    process?.clock.afterTurn(() => stream?.cancel());
  }

  #receive(response: WatchResponse, reader: WatchReader): void {
    const { trace } = this.#world;
    const revision = response.header?.revision ?? 0;
    trace.add(
      `${this.#name} gets @${revision} ${response.events.length} of ${this.#process?.name}`,
    );
    reader.take(response, this.#world.nowMs());
  }

  #created(startRevision: number, revision: number): void {
    this.#current = this.#watcher(startRevision, revision);
    this.watchers.push(this.#current);
    this.#onCreated?.(this.#wanted, revision);
    if (startRevision === 0) this.#from = revision + 1;
  }

  #take(message: WatchMessage): void {
    this.eventCount += message.events.length;
    this.#current?.messages.push(message);
    const last = lastOf(message);
    if (last > 0) this.seen.push({ atMs: message.atMs, revision: last });
    this.#from = resumeAfter(this.#from, message);
    this.#compacted ||= message.compactRevision > 0;
  }

  #watcher(startRevision: number, createdRevision: number): Watcher {
    const name = `${this.#name} on ${this.#process?.name}`;
    const messages: Watcher['messages'] = [];
    return { name, ...this.#wanted, startRevision, createdRevision, messages, completeThrough: 0 };
  }
}
