/**
 * An instance that is registered, and stays so: when its lease was lost (the servers were away for
 * longer than the TTL, or the process was stopped), it gets a new one and registers anew.
 *
 * Invariant: the entry is attached to the lease of the current session, and nothing but a session
 * that is alive writes it; what an earlier session sent late can't undo it (see value-writer.ts).
 */

import { jittered, onAbort, sleep } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import type { EtcdClient } from '../client.js';
import {
  openSession,
  type Session,
  scopeOf,
  unlessAborted,
  ValueWriter,
} from '../coordination/index.js';
import { EtcdClientError } from '../errors.js';
import type { Bytes } from '../keyspace/index.js';
import type { Kv } from '../kv/index.js';
import { comeBackDelayMsMax, comeBackDelayMsMin } from '../limits.js';
import type { RegisterOptions, Registration, RegistrationState } from './types.js';

type Encode<In> = (address: string, metadata: In) => Buffer;

export class RegistrationRun<In> implements Registration<In> {
  readonly service: string;
  readonly id: string;
  readonly #client: EtcdClient;
  readonly #kv: Kv<Buffer, Bytes>;
  readonly #key: string;
  readonly #options: RegisterOptions<In>;
  readonly #encode: Encode<In>;
  /** Ends coming back. */
  readonly #closing = new AbortController();
  #state: RegistrationState = 'away';
  #session: Session | undefined;
  #writer: ValueWriter | undefined;
  #address: string;
  #metadata: In;
  #takeBack: () => void = () => undefined;
  #closed: Promise<void> | undefined;

  constructor(
    client: EtcdClient,
    kv: Kv<Buffer, Bytes>,
    key: string,
    options: RegisterOptions<In>,
    encode: Encode<In>,
  ) {
    this.service = options.service;
    this.id = options.id;
    this.#client = client;
    this.#kv = kv;
    this.#key = key;
    this.#options = options;
    this.#encode = encode;
    this.#address = options.address;
    this.#metadata = options.metadata;
  }

  get state(): RegistrationState {
    if (this.#state === 'registered' && this.#session?.state === 'lost') return 'away';
    return this.#state;
  }

  /** The first time: fails if it can't. */
  async start(): Promise<this> {
    const { signal, timeoutMs } = this.#options;
    const bounds = {
      ...(signal === undefined ? {} : { signal }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    const scope = scopeOf(this.#client.runtime.clock, bounds, this.#client.signal);
    try {
      this.#encode(this.#address, this.#metadata); // before anything is asked for
      await this.#register(scope.signal);
      return this;
    } catch (error) {
      void this.close().catch(() => undefined);
      throw scope.signal.aborted ? scope.signal.reason : error;
    } finally {
      scope.end();
    }
  }

  async update(
    change: { readonly address?: string; readonly metadata?: In },
    options: CallOptions = {},
  ): Promise<void> {
    const address = change.address ?? this.#address;
    const metadata = change.metadata === undefined ? this.#metadata : change.metadata;
    const encoded = this.#encode(address, metadata);
    // If it is away: with what it will come back.
    this.#address = address;
    this.#metadata = metadata;
    const session = this.#session;
    const writer = this.#writer;
    if (this.#state === 'closed') throw closedError(this.id);
    if (session === undefined || writer === undefined) return;
    const scope = scopeOf(this.#client.runtime.clock, options, session.signal);
    try {
      if (!(await writer.write(encoded, scope.signal))) throw takenError(this.id);
    } catch (error) {
      // Lost meanwhile: it comes back with the new values.
      if (session.signal.aborted && this.#options.session === undefined) return;
      throw scope.signal.aborted ? scope.signal.reason : error;
    } finally {
      scope.end();
    }
  }

  close(options?: CallOptions): Promise<void> {
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #register(signal: AbortSignal): Promise<void> {
    const { session: shared, ttlSeconds, exclusive } = this.#options;
    const session =
      shared ??
      (await openSession(this.#client, {
        signal,
        ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
      }));
    if (this.#closing.signal.aborted) {
      await this.#drop(session);
      throw closedError(this.id);
    }
    this.#session = session;
    const { id: lease } = session;
    const scope = scopeOf(this.#client.runtime.clock, { signal }, session.signal);
    try {
      const first = this.#newWriter(lease, () => exclusive !== true);
      const encoded = this.#encode(this.#address, this.#metadata);
      if (!(await first.write(encoded, scope.signal))) throw heldError(this.id);
      // From now on it is written over only by the one that has it.
      this.#writer = this.#newWriter(lease, (there) => there?.lease === lease);
      this.#state = 'registered';
    } catch (error) {
      throw scope.signal.aborted ? scope.signal.reason : error;
    } finally {
      scope.end();
    }
    this.#takeBack = onAbort(session.signal, () => this.#onSessionOver(session));
  }

  #newWriter(lease: bigint, mayReplace: (there: { lease: bigint } | undefined) => boolean) {
    return new ValueWriter({
      runtime: this.#client.runtime,
      kv: this.#kv,
      key: this.#key,
      lease,
      modRevision: 0,
      mayReplace: (there) => there?.lease === lease || mayReplace(there),
    });
  }

  #onSessionOver(session: Session): void {
    this.#writer = undefined;
    this.#session = undefined;
    const error: EtcdClientError = session.signal.reason;
    if (this.#options.session !== undefined || error.reason === 'CLOSED') {
      this.#state = 'closed';
      return;
    }
    this.#state = 'away';
    this.#options.onAway?.(error);
    void this.#comeBack();
  }

  /** Until it is registered or closed. What is refused now may be allowed later. */
  async #comeBack(): Promise<void> {
    const { clock, random } = this.#client.runtime;
    const scope = scopeOf(clock, {}, this.#closing.signal, this.#client.signal);
    for (let delayMs = comeBackDelayMsMin; !scope.signal.aborted; delayMs *= 2) {
      try {
        await this.#register(scope.signal);
        break;
      } catch {
        const session = this.#session;
        this.#session = undefined;
        this.#drop(session).catch(() => undefined); // the lease runs out by itself
      }
      const limitMs = Math.min(delayMs, comeBackDelayMsMax);
      await sleep(clock, jittered(limitMs, random), scope.signal);
    }
    if (this.#state === 'registered') this.#options.onBack?.();
    scope.end();
  }

  async #close(options?: CallOptions): Promise<void> {
    this.#closing.abort(closedError(this.id));
    this.#takeBack();
    this.#state = 'closed';
    const session = this.#session;
    this.#session = undefined;
    this.#writer = undefined;
    await this.#drop(session, options);
  }

  /** An own session goes as a whole; of a shared one only the entry. */
  async #drop(session: Session | undefined, options: CallOptions = {}): Promise<void> {
    if (session === undefined) return;
    if (this.#options.session === undefined) {
      await session.close(options);
      return;
    }
    const mine = this.#kv.when(this.#key).lease('=', session);
    const scope = scopeOf(this.#client.runtime.clock, options);
    try {
      const removed = session.work.insist((signal) =>
        this.#kv.txn().if(mine).then(this.#kv.ops.delete(this.#key)).commit({ signal }),
      );
      await unlessAborted(removed, scope.signal);
    } finally {
      scope.end();
    }
  }
}

function closedError(id: string): EtcdClientError {
  return new EtcdClientError({
    code: 'CANCELLED',
    reason: 'CLOSED',
    outcome: 'failed',
    message: `the registration of ${JSON.stringify(id)} is closed`,
  });
}

function takenError(id: string): EtcdClientError {
  return new EtcdClientError({
    code: 'FAILED_PRECONDITION',
    reason: 'NOT_OWNER',
    outcome: 'failed',
    message: `instance ${JSON.stringify(id)} was deleted or taken over`,
  });
}

function heldError(id: string): EtcdClientError {
  return new EtcdClientError({
    code: 'FAILED_PRECONDITION',
    reason: 'CONFLICT',
    outcome: 'failed',
    message: `instance ${JSON.stringify(id)} is registered by another`,
  });
}
