/**
 * The nine promises of a watch (C-2.22), each by a name of its own: ordered,
 * unique, atomic, reliable, resumable, bookmarkable, filter, prevKV, isCreate; and that nothing
 * shows that was never committed (L-37). The input is what clients received, message by message.
 */

import type { Kv } from './history.js';
import { Report } from './report.js';
import { type Change, isInRange, type Truth } from './truth.js';

/** One event as received. */
export interface SeenEvent {
  readonly type: 'put' | 'delete';
  readonly kv: Kv;
  readonly previous: Kv | undefined;
}

/** One message for a watcher, fragments joined. */
export interface WatchMessage {
  readonly atMs: number;
  /** Of the header. */
  readonly revision: number;
  readonly events: readonly SeenEvent[];
  /** Set on the message that ends a watcher whose past is compacted away. */
  readonly compactRevision: number;
  /** A progress notification, asked for or not. */
  readonly isProgress: boolean;
}

/** A watcher from its creation to its end, as its client knows it. */
export interface Watcher {
  readonly name: string;
  readonly key: string;
  readonly end: string;
  /** As asked; 0: from now on. */
  readonly startRevision: number;
  /** Header of the reply to the create request. */
  readonly createdRevision: number;
  readonly previous: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly messages: WatchMessage[];
  /**
   * The client knows that everything up to here must have come: the run ended, all was quiet, and
   * the watcher was still there. 0: it does not.
   */
  completeThrough: number;
}

export interface WatchInput {
  readonly truth: Truth;
  readonly watchers: Iterable<Watcher>;
  /** Newest revision that anybody asked to compact at; 0: nobody. */
  readonly compactedMax: number;
}

export function checkWatches({ truth, watchers, compactedMax }: WatchInput): Report {
  const report = new Report();
  for (const watcher of watchers) new WatcherCheck(truth, watcher, compactedMax, report).run();
  return report;
}

class WatcherCheck {
  readonly #truth: Truth;
  readonly #watcher: Watcher;
  readonly #compactedMax: number;
  readonly #report: Report;
  /** Everything up to here has come. */
  #through: number;
  /** Place of the last event: its revision, and its number among those of it. */
  #lastRevision = 0;
  #seen = new Set<string>();

  constructor(truth: Truth, watcher: Watcher, compactedMax: number, report: Report) {
    this.#truth = truth;
    this.#watcher = watcher;
    this.#compactedMax = compactedMax;
    this.#report = report;
    const { startRevision, createdRevision } = watcher;
    this.#through = startRevision === 0 ? createdRevision : startRevision - 1;
  }

  run(): void {
    const { messages, completeThrough } = this.#watcher;
    for (const message of messages) {
      this.#check(
        'watch: nothing uncommitted',
        message.revision <= this.#truth.revision,
        message,
        () => `the header says ${message.revision}, the newest revision is ${this.#truth.revision}`,
      );
      if (message.compactRevision > 0) {
        this.#check(
          'watch: compacted only if it is',
          message.compactRevision > this.#through + 1,
          message,
          () => `compacted at ${message.compactRevision}, needed from ${this.#through + 1}`,
        );
        return;
      }
      this.#events(message);
      if (message.isProgress) this.#progress(message);
    }
    if (completeThrough > 0) this.#complete('watch: reliable', completeThrough, undefined);
  }

  #events(message: WatchMessage): void {
    const { events } = message;
    for (let i = 0; i < events.length; ) {
      const revision = events[i]?.kv.mod ?? 0;
      let end = i;
      while (end < events.length && events[end]?.kv.mod === revision) end += 1;
      this.#revision(message, revision, events.slice(i, end));
      i = end;
    }
  }

  /** All events of one revision in one message. */
  #revision(message: WatchMessage, revision: number, events: readonly SeenEvent[]): void {
    const { name } = this.#watcher;
    for (const event of events) {
      const id = `${revision} ${event.kv.key} ${event.type} ${event.kv.value}`;
      this.#check('watch: unique', !this.#seen.has(id), message, () => `again ${show(event)}`);
      this.#seen.add(id);
      this.#filter(message, event);
    }
    const ordered = this.#check(
      'watch: ordered',
      revision > this.#lastRevision,
      message,
      () => `revision ${revision} after ${this.#lastRevision}`,
    );
    this.#check(
      'watch: bookmarkable',
      revision > this.#through || !ordered,
      message,
      () => `an event of ${revision} after all up to ${this.#through} had come`,
    );
    this.#check(
      'watch: header',
      message.revision >= revision,
      message,
      () => `the header says ${message.revision}, an event ${revision}`,
    );
    const rule = this.#lastRevision === 0 ? 'watch: resumable' : 'watch: reliable';
    this.#complete(rule, revision - 1, message);
    const expected = this.#expected(revision);
    this.#check(
      'watch: atomic',
      events.length >= expected.length,
      message,
      () => `${events.length} events of revision ${revision} instead of ${expected.length}`,
    );
    for (const [i, event] of events.entries()) this.#event(message, event, expected[i], revision);
    this.#lastRevision = Math.max(this.#lastRevision, revision);
    this.#through = Math.max(this.#through, revision);
    if (this.#seen.size > 10_000) this.#seen = new Set([`${name} forgets`]);
  }

  #filter(message: WatchMessage, event: SeenEvent): void {
    const { key, end, noPut, noDelete } = this.#watcher;
    const wanted = isInRange(event.kv.key, key, end) && !(event.type === 'put' ? noPut : noDelete);
    this.#check('watch: filter', wanted, message, () => `not asked for: ${show(event)}`);
  }

  #event(
    message: WatchMessage,
    event: SeenEvent,
    expected: Change | undefined,
    revision: number,
  ): void {
    const { kv, type, previous } = event;
    const isRight =
      expected !== undefined &&
      expected.type === type &&
      expected.key === kv.key &&
      expected.value === kv.value &&
      expected.lease === kv.lease;
    this.#check('watch: event', isRight, message, () => {
      const right = expected === undefined ? 'nothing' : `${expected.type} ${expected.key}`;
      return `${show(event)} instead of ${right} ${expected?.value}`;
    });
    if (!isRight) return;
    this.#check(
      'watch: isCreate',
      kv.create === expected.create && kv.version === expected.version,
      message,
      () => `${show(event)} instead of create ${expected.create}, version ${expected.version}`,
    );
    // As in etcd: a key that its transaction deleted first is created anew, from nothing.
    const isCreation = type === 'put' && expected.create === revision;
    const before = isCreation ? undefined : this.#truth.at(kv.key, revision - 1);
    // What was compacted away can't be told.
    const mayLack =
      !this.#watcher.previous || before === undefined || revision - 1 < this.#compactedMax;
    const isPreviousRight =
      previous === undefined
        ? mayLack
        : this.#watcher.previous && before !== undefined && sameKv(previous, before);
    this.#check('watch: prevKV', isPreviousRight, message, () => {
      const right = before === undefined ? 'nothing' : `${before.value}@${before.mod}`;
      return `${show(event)} was ${previous?.value}@${previous?.mod} before instead of ${right}`;
    });
  }

  /** A promise that everything up to the header's revision has come. */
  #progress(message: WatchMessage): void {
    this.#complete('watch: bookmarkable', message.revision, message);
    this.#through = Math.max(this.#through, message.revision);
  }

  /** Everything up to `revision` has come. */
  #complete(rule: string, revision: number, message: WatchMessage | undefined): void {
    let missing: string | undefined;
    const last = Math.min(revision, this.#truth.revision);
    for (let at = this.#through + 1; at <= last; at += 1) {
      const expected = this.#expected(at)[0];
      if (expected === undefined) continue;
      missing = `${expected.type} ${expected.key} ${expected.value}@${at}`;
      break;
    }
    this.#check(rule, missing === undefined, message, () => `no event for ${missing}`);
    this.#through = Math.max(this.#through, last);
  }

  #expected(revision: number): Change[] {
    const { key, end, noPut, noDelete } = this.#watcher;
    const changes = this.#truth.commit(revision)?.changes ?? [];
    return changes.filter(
      (change) => isInRange(change.key, key, end) && !(change.type === 'put' ? noPut : noDelete),
    );
  }

  #check(
    rule: string,
    ok: boolean,
    message: WatchMessage | undefined,
    what: () => string,
  ): boolean {
    const { name, key, end, startRevision } = this.#watcher;
    const range = `${key}${end === '' ? '' : '..'} from ${startRevision}`;
    return this.#report.check(rule, ok, () => `${name} (${range}): ${what()}`, message?.atMs);
  }
}

function show({ type, kv }: SeenEvent): string {
  return `${type} ${kv.key}=${kv.value}@${kv.mod} (create ${kv.create}, version ${kv.version})`;
}

function sameKv(a: Kv, b: Kv): boolean {
  return a.key === b.key && a.value === b.value && a.mod === b.mod && a.version === b.version;
}
