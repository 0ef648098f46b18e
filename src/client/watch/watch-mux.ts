/**
 * All watches of a client over one stream. The mux opens the stream when the first watch comes,
 * creates the watches on it, gives each its replies, and ends the stream with the last. If the
 * stream breaks it opens another, elsewhere if it can, and creates every watch again from the
 * revision that the watch says it wants next.
 *
 * Facts it relies on (C-2.4, C-12.2.1): created replies come in the order of the requests, so
 * they are matched by order; ids of a stream are not given twice; a refused create has id -1.
 */

import { assert, backoffMs, GrpcCode, type Timer } from '../../common/index.js';
import {
  decodeWatchResponse,
  encodeWatchCancelRequest,
  encodeWatchCreateRequest,
  encodeWatchProgressRequest,
  statusRequest,
  statusResponse,
  type WatchCreateRequest,
  type WatchResponse,
} from '../../proto/index.js';
import {
  asError,
  type Caller,
  type ClientEvent,
  callError,
  method,
  type OpenedStream,
  worthRepeating,
} from '../call/index.js';
import type { Link, RpcStatus, Slot } from '../connection/index.js';
import { type EtcdClientError, isEtcdError, type Reason, reasonOf } from '../errors.js';
import {
  streamDelayMaxMs,
  streamDelayMinMs,
  watchCancelTimeoutMs,
  watchCreateTimeoutMs,
} from '../limits.js';
import { refusalText } from './refusal.js';

/** What the mux needs of a watch. */
export interface WatchTarget {
  /** The create request as it must be sent now; its revision is what is wanted next. */
  createRequest(): Partial<WatchCreateRequest>;
  onCreated(response: WatchResponse): void;
  onResponse(response: WatchResponse): void;
  /** The server ended it, other than by request; the mux has forgotten it. */
  onCanceled(response: WatchResponse): void;
  /** It can't be continued at all. */
  onError(error: Error): void;
  /** The client was closed. */
  onClosed(): void;
  /** A manual progress mark for the whole stream. */
  onStreamProgress(revision: number): void;
}

/** Where a watch stands with the server. */
type Place =
  /** Waits for a stream. */
  | { readonly state: 'waiting' }
  /** Create sent. */
  | { readonly state: 'creating' }
  | { readonly state: 'created'; readonly id: number }
  /** Gone from the target's view; the mux still expects replies. */
  | { readonly state: 'left'; readonly id: number };

interface Entry {
  readonly target: WatchTarget;
  place: Place;
  /** Called when the server has confirmed the cancel, or the stream is gone. */
  readonly left: Array<() => void>;
}

export class WatchMux {
  readonly #caller: Caller;
  readonly #entries = new Map<WatchTarget, Entry>();
  #opened: OpenedStream | undefined;
  #opening = false;
  #closed = false;
  /** There has been a stream: then what is wrong now may be mended, and watches wait for it. */
  #wasOpen = false;
  #failures = 0;
  /** One after the other, for the token. */
  #refusals = 0;
  #avoid: Slot | undefined;
  #retry: Timer | undefined;
  /** Creates sent and not answered, oldest first. */
  #creates: Entry[] = [];
  #byId = new Map<number, Entry>();
  #createTimer: Timer | undefined;
  /** Whether manual progress marks of this stream's server are in step with its events. */
  #marksHold: Promise<boolean> | undefined;
  /** Aborts opening when nobody wants the stream any more. */
  #abort = new AbortController();

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Streams open now (0 or 1); for tests. */
  get streamCount(): number {
    return this.#opened === undefined ? 0 : 1;
  }

  add(target: WatchTarget): void {
    assert(!this.#entries.has(target), 'a watch is added once');
    if (this.#closed) {
      queueMicrotask(() => target.onClosed());
      return;
    }
    const entry: Entry = { target, place: { state: 'waiting' }, left: [] };
    this.#entries.set(target, entry);
    if (this.#opened !== undefined) this.#create(entry);
    else this.#open();
  }

  /** Cancels; resolves when the server has confirmed it. No callback comes after the call. */
  remove(target: WatchTarget): Promise<void> {
    const entry = this.#entries.get(target);
    if (entry === undefined) return Promise.resolve();
    this.#entries.delete(target);
    const { place } = entry;
    if (this.#opened === undefined || place.state === 'waiting') {
      this.#closeIfUnused();
      return Promise.resolve();
    }
    const gone = new Promise<void>((resolve) => {
      // A server that hangs must not hang whoever leaves.
      const timer = this.#caller.options.clock.after(watchCancelTimeoutMs, () => {
        this.#settle(entry);
        if (this.#entries.size === 0) this.#dropStream();
      });
      entry.left.push(() => {
        timer.cancel();
        resolve();
      });
    });
    if (place.state === 'created') this.#cancel(entry, place.id);
    // While it is being created its id is not known; it is cancelled when the reply comes.
    this.#closeIfUnused();
    return gone;
  }

  /** Tells whoever listens to the client. */
  tell(event: ClientEvent): void {
    this.#caller.options.onEvent(event);
  }

  /** Asks for a progress mark of the whole stream, if the server's marks can be believed. */
  requestProgress(): void {
    const opened = this.#opened;
    if (opened === undefined) return;
    this.#marksHold ??= marksHold(opened.link, this.#caller);
    void this.#marksHold.then((hold) => {
      if (hold && this.#opened === opened) opened.stream.send(encodeWatchProgressRequest());
    });
  }

  close(): void {
    this.#closed = true;
    this.#abort.abort();
    this.#retry?.cancel();
    const targets = [...this.#entries.keys()];
    this.#entries.clear();
    this.#dropStream();
    for (const target of targets) target.onClosed();
  }

  #open(): void {
    if (this.#opening || this.#opened !== undefined || this.#closed) return;
    if (this.#retry !== undefined) return;
    this.#opening = true;
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#caller.open(method.watch, 'read', { signal }, this.#avoid).then(
      (opened) => {
        this.#opening = false;
        if (this.#closed || this.#entries.size === 0) opened.stream.cancel();
        else this.#begin(opened);
      },
      (error: unknown) => {
        this.#opening = false;
        if (this.#closed || signal.aborted) {
          if (!this.#closed && this.#entries.size > 0) this.#open();
          return;
        }
        this.#broken(asError(error));
      },
    );
  }

  #begin(opened: OpenedStream): void {
    assert(this.#opened === undefined, 'there is one stream at a time');
    assert(this.#creates.length === 0 && this.#byId.size === 0, 'a new stream has no watches');
    this.#opened = opened;
    this.#wasOpen = true;
    const { stream } = opened;
    stream.onMessage = (message) => {
      if (this.#opened === opened) this.#onMessage(message);
    };
    stream.onStatus = (status) => {
      if (this.#opened === opened) this.#onStatus(opened, status);
    };
    for (const entry of this.#entries.values()) this.#create(entry);
  }

  #create(entry: Entry): void {
    const { stream } = this.#opened ?? {};
    assert(stream !== undefined, 'a watch is created on a stream');
    assert(entry.place.state === 'waiting', 'a watch is created once on a stream');
    entry.place = { state: 'creating' };
    this.#creates.push(entry);
    stream.send(encodeWatchCreateRequest(entry.target.createRequest()));
    this.#armCreateTimer();
  }

  #cancel(entry: Entry, id: number): void {
    assert(this.#opened !== undefined, 'a watch is cancelled on its stream');
    entry.place = { state: 'left', id };
    this.#opened.stream.send(encodeWatchCancelRequest(id));
  }

  /** A server that takes the stream and does not answer on it is left. */
  #armCreateTimer(): void {
    if (this.#createTimer !== undefined || this.#creates.length === 0) return;
    const first = this.#creates[0];
    this.#createTimer = this.#caller.options.clock.after(watchCreateTimeoutMs, () => {
      this.#createTimer = undefined;
      if (this.#creates[0] !== first) {
        this.#armCreateTimer();
        return;
      }
      const slot = this.#opened?.slot;
      if (slot !== undefined) this.#caller.options.pool.suspect(slot);
      this.#avoid = slot;
      this.#dropStream();
      this.#reopenLater();
    });
  }

  #onMessage(message: Buffer): void {
    const response = decodeWatchResponse(message);
    if (response.created) {
      this.#onCreated(response);
      return;
    }
    if (response.watchId === -1 && !response.canceled) {
      const revision = response.header?.revision ?? 0;
      for (const { target, place } of [...this.#entries.values()]) {
        if (place.state === 'created') target.onStreamProgress(revision);
      }
      return;
    }
    const entry = this.#byId.get(response.watchId);
    if (entry === undefined) return;
    if (response.canceled) {
      this.#byId.delete(response.watchId);
      this.#settle(entry);
      const wanted = entry.place.state !== 'left' && this.#entries.has(entry.target);
      if (wanted) this.#onRefused(entry, response);
      this.#closeIfUnused();
      return;
    }
    if (entry.place.state === 'created') entry.target.onResponse(response);
  }

  #onCreated(response: WatchResponse): void {
    const entry = this.#creates.shift();
    this.#createTimer?.cancel();
    this.#createTimer = undefined;
    this.#armCreateTimer();
    if (entry === undefined) return;
    const wanted = this.#entries.get(entry.target) === entry;
    if (response.canceled) {
      this.#settle(entry);
      if (wanted) this.#onRefused(entry, response);
      this.#closeIfUnused();
      return;
    }
    this.#failures = 0;
    this.#refusals = 0;
    this.#avoid = undefined;
    this.#byId.set(response.watchId, entry);
    if (!wanted) {
      this.#cancel(entry, response.watchId);
      return;
    }
    entry.place = { state: 'created', id: response.watchId };
    entry.target.onCreated(response);
  }

  /** Refused because of the token: another stream with another token. Else it is final. */
  #onRefused(entry: Entry, response: WatchResponse): void {
    const reason = reasonOf(refusalText(response.cancelReason));
    if (this.#opened !== undefined && this.#worthAnotherToken(this.#opened, reason)) {
      this.#dropStream();
      this.#reopenLater();
      return;
    }
    this.#entries.delete(entry.target);
    entry.target.onCanceled(response);
  }

  #worthAnotherToken(opened: OpenedStream, reason: Reason): boolean {
    const again = this.#caller.refused(opened, reason, this.#refusals);
    if (again) this.#refusals += 1;
    return again;
  }

  #onStatus(opened: OpenedStream, status: RpcStatus): void {
    this.#caller.streamEnded(opened, method.watch, status);
    this.#avoid = opened.slot;
    const reason = reasonOf(status.message);
    this.#forgetStream();
    if (this.#entries.size === 0) return;
    if (this.#worthAnotherToken(opened, reason)) {
      this.#reopenLater();
      return;
    }
    if (status.code === GrpcCode.UNAVAILABLE) this.#caller.options.pool.suspect(opened.slot);
    const transient =
      status.code === GrpcCode.OK ||
      status.code === GrpcCode.UNKNOWN ||
      status.code === GrpcCode.RESOURCE_EXHAUSTED ||
      reason === 'LEARNER_UNSUPPORTED' ||
      worthRepeating(status, reason);
    if (transient) {
      this.#reopenLater();
      return;
    }
    const context = {
      kind: 'read',
      method: method.watch,
      endpoint: opened.slot.endpoint.address,
      attempts: 1,
    } as const;
    this.#failAll(callError(status, context));
  }

  /** No stream could be opened. */
  #broken(error: Error): void {
    const hopeless = !this.#wasOpen && isEtcdError(error, 'CONNECT_FAILED') && isPermanent(error);
    if (hopeless) this.#failAll(error);
    else if (isEtcdError(error, 'CONNECT_FAILED')) this.#reopenLater();
    else if (isTransient(error)) this.#reopenLater();
    else this.#failAll(error);
  }

  #failAll(error: Error): void {
    const targets = [...this.#entries.keys()];
    this.#entries.clear();
    for (const target of targets) target.onError(error);
  }

  #reopenLater(): void {
    if (this.#closed || this.#entries.size === 0 || this.#retry !== undefined) return;
    const { clock, random } = this.#caller.options;
    const pauseMs = () => backoffMs(this.#failures, streamDelayMinMs, streamDelayMaxMs, random);
    // The first time at once: a server that restarts is not the rule.
    const delayMs = this.#failures === 0 ? 0 : pauseMs();
    this.#failures += 1;
    this.#retry = clock.after(delayMs, () => {
      this.#retry = undefined;
      if (this.#entries.size > 0) this.#open();
    });
  }

  /** Ends the stream with the last watch: nothing is left open at the server. */
  #closeIfUnused(): void {
    if (this.#entries.size > 0) return;
    this.#abort.abort();
    this.#retry?.cancel();
    this.#retry = undefined;
    const pending = this.#creates.length > 0 || this.#byId.size > 0;
    // Cancels that are on their way are waited for, so that `close` means closed.
    if (!pending) this.#dropStream();
  }

  #dropStream(): void {
    const opened = this.#opened;
    this.#forgetStream();
    if (opened !== undefined) this.#caller.streamEnded(opened, method.watch, undefined);
    opened?.stream.end();
    opened?.stream.cancel();
  }

  #forgetStream(): void {
    this.#opened = undefined;
    this.#marksHold = undefined;
    this.#createTimer?.cancel();
    this.#createTimer = undefined;
    const known = new Set([...this.#creates, ...this.#byId.values(), ...this.#entries.values()]);
    this.#creates = [];
    this.#byId = new Map();
    for (const entry of known) {
      entry.place = { state: 'waiting' };
      this.#settle(entry);
    }
  }

  #settle(entry: Entry): void {
    for (const resolve of entry.left.splice(0)) resolve();
  }
}

/**
 * Before 3.4.25 and 3.5.8 a manual mark could overtake events (etcd#15220): believing it would lose
 * them after a reconnect, so such servers are not asked.
 */
function marksHold(link: Link, caller: Caller): Promise<boolean> {
  const metadata = caller.metadataOf('local', undefined);
  const options = { timeoutMs: caller.options.timeoutMs, metadata };
  return new Promise((resolve) => {
    link.unary(method.status, statusRequest.encode({}), options, (_, message) => {
      const version = message === undefined ? '' : statusResponse.decode(message).version;
      const [major = 0, minor = 0, patch = 0] = version
        .split('.')
        .map((part) => Number.parseInt(part, 10));
      const fixedIn = minor === 4 ? 25 : minor === 5 ? 8 : 0;
      resolve(major > 3 || (major === 3 && minor >= 4 && patch >= fixedIn));
    });
  });
}

/** There is no connection, and trying again will not help. */
function isPermanent(error: EtcdClientError): boolean {
  return error.code === 'FAILED_PRECONDITION';
}

function isTransient(error: Error): boolean {
  const transient: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);
  return isEtcdError(error) && transient.has((error satisfies EtcdClientError).code);
}
