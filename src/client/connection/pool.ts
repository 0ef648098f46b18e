/**
 * The connections of a client: at most one to each endpoint, made when first needed, given to calls
 * in turn, and replaced when they break.
 *
 * An endpoint that can't be connected to is left alone for a growing, jittered time; one whose
 * server can't serve (no leader, timed out) is `suspect` for a while and only used if no other is
 * there. Nothing runs in the background: what is due is started when somebody asks.
 */

import { assert, backoffMs, type Clock, onAbort, type Random } from '../../common/index.js';
import { EtcdClientError } from '../errors.js';
import {
  namedEndpointsMax,
  reconnectDelayMaxMs,
  reconnectDelayMinMs,
  suspectMs,
} from '../limits.js';
import { ask } from './ask.js';
import { diagnose } from './diagnosis.js';
import type { Endpoint } from './endpoint.js';
import type { Dial, DialOptions, Link } from './link.js';
import type { ClientTls, ConnectionEvent, TlsSource } from './types.js';

export interface PoolOptions {
  readonly endpoints: readonly Endpoint[];
  readonly dial: Dial;
  readonly dialOptions: Omit<DialOptions, 'signal' | 'tls'>;
  /** Undefined: as the endpoint's scheme says. */
  readonly tls: TlsSource | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: (event: ConnectionEvent) => void;
}

/** How long somebody waits. */
export interface Until {
  /** On the clock; Infinity: for ever. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
}

/** One endpoint and what is known about it. */
export class Slot {
  readonly endpoint: Endpoint;
  link: Link | undefined = undefined;
  connecting: Promise<void> | undefined = undefined;
  failures = 0;
  /** Not tried again before. */
  retryAtMs = 0;
  /** Not preferred before. */
  suspectUntilMs = 0;
  /** No longer one of the endpoints: its connection is closed when it comes. */
  removed = false;
  lastError: Error | undefined = undefined;
  /** Trying again will not help, as far as anybody can tell. */
  permanent = false;
  wasConnected = false;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }
}

/** A connection and where it leads. */
export interface Pick {
  readonly link: Link;
  readonly slot: Slot;
}

export class Pool {
  readonly #options: PoolOptions;
  #slots: Slot[];
  /** Endpoints that were asked for by name and are not among the client's. */
  readonly #named = new Map<string, Slot>();
  /** Connections that are replaced and still have calls. */
  readonly #draining = new Set<Link>();
  readonly #waiters = new Set<() => void>();
  readonly #closing = new AbortController();
  #next: number;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    assert(options.endpoints.length > 0, 'a client has an endpoint');
    this.#slots = options.endpoints.map((endpoint) => new Slot(endpoint));
    // Clients that start together do not all begin at the first endpoint.
    this.#next = options.random.u32() % this.#slots.length;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#slots.map(({ endpoint }) => endpoint);
  }

  get size(): number {
    return this.#slots.length;
  }

  /** A usable connection now, in turn; starts what is due beside. */
  pick(avoid?: Slot): Pick | undefined {
    const slots = this.#slots;
    const nowMs = this.#options.clock.nowMs();
    let preferred: Slot | undefined;
    let other: Slot | undefined;
    for (let i = 0; i < slots.length; i += 1) {
      const slot = slots[(this.#next + i) % slots.length] as Slot;
      if (slot.link?.usable === false) this.#retire(slot, slot.link);
      if (slot.link === undefined) this.#startIfDue(slot, nowMs);
      else if (slot === avoid || slot.suspectUntilMs > nowMs) other ??= slot;
      else preferred ??= slot;
    }
    const slot = preferred ?? other;
    if (slot?.link === undefined) return undefined;
    this.#next = (slots.indexOf(slot) + 1) % slots.length;
    return { link: slot.link, slot };
  }

  /** As `pick`, but waits for a connection. Rejects with CONNECT_FAILED, ABORTED or CLOSED. */
  async acquire(until: Until, avoid?: Slot): Promise<Pick> {
    for (;;) {
      if (this.#closed) throw closedError();
      const pick = this.pick(avoid);
      if (pick !== undefined) return pick;
      if (this.#hopeless()) throw this.#gaveUp('failed');
      const reason = await this.#wait(until, this.#nextDueMs());
      if (reason !== undefined) throw this.#gaveUp(reason);
    }
  }

  /** No endpoint can be connected to, and none is being tried. */
  #hopeless(): boolean {
    assert(this.#slots.length > 0, 'a client keeps an endpoint');
    return this.#slots.every(
      ({ permanent, connecting, link }) => permanent && connecting === undefined && !link,
    );
  }

  /** One round over all endpoints: resolves with the first connection, rejects if all fail. */
  async connectOnce(until: Until): Promise<Pick> {
    const triedOnce = this.#slots.map((slot) => this.#connect(slot));
    let left = triedOnce.length;
    for (const tried of triedOnce) {
      void tried.then(() => {
        left -= 1;
        this.#notify();
      });
    }
    for (;;) {
      if (this.#closed) throw closedError();
      const pick = this.pick();
      if (pick !== undefined) return pick;
      if (left === 0) throw this.#gaveUp('failed');
      const reason = await this.#wait(until, Number.POSITIVE_INFINITY);
      if (reason !== undefined) throw this.#gaveUp(reason);
    }
  }

  /** A connection to this endpoint, one of the client's or not; tried once. */
  async acquireAt(endpoint: Endpoint, until: Until): Promise<Pick> {
    const slot = this.#slotOf(endpoint);
    const connected = this.#connect(slot);
    for (;;) {
      if (this.#closed) throw closedError();
      if (slot.link?.usable === true) return { link: slot.link, slot };
      if (slot.connecting === undefined) throw this.#gaveUp('failed', slot);
      void connected.then(() => this.#notify());
      const reason = await this.#wait(until, Number.POSITIVE_INFINITY);
      if (reason !== undefined) throw this.#gaveUp(reason, slot);
    }
  }

  /** The server behind it could not serve a call. */
  suspect(slot: Slot): void {
    slot.suspectUntilMs = this.#options.clock.nowMs() + suspectMs;
  }

  /** Uses these from now on; connections to others end when their calls have. */
  replaceEndpoints(endpoints: readonly Endpoint[]): void {
    assert(endpoints.length > 0, 'a client keeps an endpoint');
    const before = new Map(this.#slots.map((slot) => [slot.endpoint.address, slot]));
    this.#slots = endpoints.map((e) => before.get(e.address) ?? new Slot(e));
    this.#next %= this.#slots.length;
    for (const slot of before.values()) {
      if (this.#slots.includes(slot)) continue;
      slot.removed = true;
      void slot.link?.close();
    }
    this.#options.onEvent({ type: 'endpoints', endpoints: endpoints.map((e) => e.address) });
    this.#notify();
  }

  close(): void {
    this.#closed = true;
    this.#closing.abort();
    for (const slot of [...this.#slots, ...this.#named.values()]) {
      slot.removed = true;
      slot.link?.destroy();
    }
    for (const link of [...this.#draining]) link.destroy();
    this.#notify();
  }

  #slotOf(endpoint: Endpoint): Slot {
    const { address } = endpoint;
    const own = this.#slots.find((slot) => slot.endpoint.address === address);
    if (own !== undefined) return own;
    const other = this.#named.get(address) ?? new Slot(endpoint);
    // Used last, dropped last.
    this.#named.delete(address);
    this.#named.set(address, other);
    if (this.#named.size > namedEndpointsMax) this.#dropOldest();
    assert(this.#named.size <= namedEndpointsMax, 'endpoints by name do not add up');
    return other;
  }

  /** It takes no more calls, but those it has may go on for long: another takes its place. */
  #retire(slot: Slot, link: Link): void {
    assert(slot.link === link && !this.#draining.has(link), 'a connection is retired once');
    slot.link = undefined;
    this.#draining.add(link);
    link.onClose = () => void this.#draining.delete(link);
    void link.close();
    this.#options.onEvent({ type: 'disconnected', endpoint: slot.endpoint.address });
  }

  #dropOldest(): void {
    for (const [address, slot] of this.#named) {
      this.#named.delete(address);
      slot.removed = true;
      void slot.link?.close();
      return;
    }
  }

  #startIfDue(slot: Slot, nowMs: number): void {
    if (slot.connecting === undefined && slot.retryAtMs <= nowMs) void this.#connect(slot);
  }

  /** Never rejects: what went wrong is in the slot. */
  #connect(slot: Slot): Promise<void> {
    if (slot.link?.usable === false) this.#retire(slot, slot.link);
    if (this.#closed || slot.link !== undefined) return Promise.resolve();
    slot.connecting ??= this.#dial(slot).finally(() => {
      slot.connecting = undefined;
      this.#notify();
    });
    return slot.connecting;
  }

  async #dial(slot: Slot): Promise<void> {
    const { dial, dialOptions, onEvent } = this.#options;
    const { signal } = this.#closing;
    const endpoint = slot.endpoint.address;
    onEvent({ type: 'connecting', endpoint });
    let link: Link;
    let tls: ClientTls | undefined;
    try {
      tls = await this.#tls();
      link = await dial(slot.endpoint, { ...dialOptions, tls, signal });
    } catch (error) {
      const failed = error instanceof Error ? error : new Error(String(error));
      const fault = await diagnose(failed, slot.endpoint, {
        ...dialOptions,
        ...{ tls, signal, wasConnected: slot.wasConnected },
      });
      slot.lastError = fault.error;
      // A function may give other certificates when it is asked again.
      const mayChange = fault.ofCertificates === true && typeof this.#options.tls === 'function';
      slot.permanent = fault.permanent && !mayChange;
      this.#backOff(slot);
      assert(slot.retryAtMs > 0, 'what failed is not tried again at once');
      onEvent({ type: 'connectFailed', endpoint, error: fault.error, permanent: slot.permanent });
      return;
    }
    if (this.#closed || slot.removed) {
      link.destroy();
      return;
    }
    assert(slot.link === undefined, 'an endpoint has one connection');
    slot.link = link;
    slot.failures = 0;
    slot.suspectUntilMs = 0;
    slot.lastError = undefined;
    slot.permanent = false;
    slot.wasConnected = true;
    link.onClose = () => {
      if (slot.link !== link) return;
      slot.link = undefined;
      // The first attempt after a loss is immediate, but not in the same turn for ever.
      if (slot.failures === 0) this.#backOff(slot);
      onEvent({ type: 'disconnected', endpoint });
      this.#notify();
    };
    onEvent({ type: 'connected', endpoint });
  }

  #tls(): Promise<ClientTls> | ClientTls | undefined {
    const { tls, clock, dialOptions } = this.#options;
    if (typeof tls !== 'function') return tls;
    const { signal } = this.#closing;
    return ask(tls, { clock, timeoutMs: dialOptions.connectTimeoutMs, signal });
  }

  /** Half of the doubled delay is fixed, half is chance. */
  #backOff(slot: Slot): void {
    const { clock, random } = this.#options;
    const delayMs = backoffMs(slot.failures, reconnectDelayMinMs, reconnectDelayMaxMs, random);
    slot.failures += 1;
    slot.retryAtMs = clock.nowMs() + delayMs;
  }

  #nextDueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const slot of this.#slots) {
      if (slot.connecting === undefined && slot.link === undefined) {
        dueMs = Math.min(dueMs, slot.retryAtMs);
      }
    }
    return dueMs;
  }

  #notify(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  /** Until something changes, `dueMs`, or the caller's time is over (then it says why). */
  #wait(until: Until, dueMs: number): Promise<'timeout' | 'aborted' | undefined> {
    const { clock } = this.#options;
    const { signal } = until;
    if (signal?.aborted === true) return Promise.resolve('aborted');
    const nowMs = clock.nowMs();
    if (nowMs >= until.deadlineMs) return Promise.resolve('timeout');
    return new Promise((resolve) => {
      const atMs = Math.min(dueMs, until.deadlineMs);
      const finish = (): void => {
        this.#waiters.delete(finish);
        takeBack();
        timer?.cancel();
        if (signal?.aborted === true) resolve('aborted');
        else resolve(clock.nowMs() >= until.deadlineMs ? 'timeout' : undefined);
      };
      const timer = Number.isFinite(atMs) ? clock.after(atMs - nowMs, finish) : undefined;
      const takeBack = onAbort(signal, finish);
      this.#waiters.add(finish);
    });
  }

  #gaveUp(why: 'timeout' | 'aborted' | 'failed', slot?: Slot): EtcdClientError {
    const slots = slot === undefined ? this.#slots : [slot];
    const cause = slots.find(({ lastError }) => lastError !== undefined)?.lastError;
    const where = slots.map(({ endpoint }) => endpoint.address).join(', ');
    const detail = cause === undefined ? '' : `: ${cause.message}`;
    if (why === 'aborted') {
      return new EtcdClientError({
        code: 'CANCELLED',
        reason: 'ABORTED',
        outcome: 'failed',
        message: 'aborted before the request was sent',
        cause,
      });
    }
    const permanent = slots.every((each) => each.permanent);
    const passing = why === 'timeout' ? 'DEADLINE_EXCEEDED' : 'UNAVAILABLE';
    return new EtcdClientError({
      code: permanent ? 'FAILED_PRECONDITION' : passing,
      reason: 'CONNECT_FAILED',
      outcome: 'failed',
      message: `could not connect to ${where}${detail}`,
      cause,
      endpoint: slot?.endpoint.address,
    });
  }
}

/** For calls on a client that was closed. */
export function closedError(): EtcdClientError {
  return new EtcdClientError({
    code: 'CANCELLED',
    reason: 'CLOSED',
    outcome: 'failed',
    message: 'the client is closed',
  });
}
