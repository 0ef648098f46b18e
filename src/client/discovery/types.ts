/**
 * Service discovery: instances register under a service's name, as long as their lease lives; who
 * calls the service follows the list. The layout is that of Go's `naming/endpoints` of etcd.
 */

import type { LeaseId, Revision } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import type { Session } from '../coordination/index.js';
import type { EtcdClientError } from '../errors.js';
import type { Bytes, StandardSchema } from '../keyspace/index.js';
import type { Kv } from '../kv/index.js';

/** One instance of a service, as it registered. */
export interface Instance<M> {
  readonly service: string;
  readonly id: string;
  /** `host:port`. */
  readonly address: string;
  readonly metadata: M;
  /** It lives as long as this; 0n: until somebody deletes it. */
  readonly lease: LeaseId;
  /** When it registered. */
  readonly createRevision: Revision;
  /** When it said something new last. */
  readonly modRevision: Revision;
}

/** An entry that is not of the expected form. */
export interface InvalidInstance {
  readonly service: string;
  readonly id: string;
  readonly value: Buffer;
  readonly error: EtcdClientError;
}

/** All instances of a service at a revision, ordered by id. */
export interface ServiceSnapshot<M> {
  readonly service: string;
  readonly revision: Revision;
  readonly instances: readonly Instance<M>[];
  readonly invalid: readonly InvalidInstance[];
}

/** `signal` and `timeoutMs` are for registering, not for how long it lasts. */
export interface RegisterOptions<In> extends Pick<CallOptions, 'signal' | 'timeoutMs'> {
  readonly service: string;
  /** Unique in the service. Who registers it again takes it over, unless `exclusive`. */
  readonly id: string;
  /** `host:port`. */
  readonly address: string;
  readonly metadata: In;
  /** How long others see it after it went silent. Default 15 s. */
  readonly ttlSeconds?: number;
  /** Share this session instead of an own one; then it ends with the session. */
  readonly session?: Session;
  /** CONFLICT if another lease has the id. */
  readonly exclusive?: boolean;
  /** Its lease was lost, others do not see it any more; it registers anew as soon as it can. */
  readonly onAway?: (error: EtcdClientError) => void;
  /** It is registered again. */
  readonly onBack?: () => void;
}

/** Metadata may be left out where there need not be any. */
export type RegisterArgument<In> = undefined extends In
  ? Omit<RegisterOptions<In>, 'metadata'> & { readonly metadata?: In }
  : RegisterOptions<In>;

export type RegistrationState = 'registered' | 'away' | 'closed';

/** Being registered. */
export interface Registration<In> extends AsyncDisposable {
  readonly service: string;
  readonly id: string;
  readonly state: RegistrationState;
  /** Changes address or metadata for those who watch. NOT_OWNER if another took the id over. */
  update(
    change: { readonly address?: string; readonly metadata?: In },
    options?: CallOptions,
  ): Promise<void>;
  /** Takes it away at once. `await using` does this. */
  close(options?: CallOptions): Promise<void>;
}

/**
 * The instances of a service, kept up to date. While no server can be reached the last known ones
 * stay. Any number may iterate: each gets the list now, and then the newest each time.
 */
export interface LiveService<M> extends AsyncIterable<ServiceSnapshot<M>>, AsyncDisposable {
  readonly service: string;
  /** Empty, at revision 0, before the first answer. */
  readonly current: ServiceSnapshot<M>;
  /** The first answer; rejects if it is refused or closed before. */
  readonly ready: Promise<ServiceSnapshot<M>>;
  close(): Promise<void>;
}

export interface RegistryOptions<In, Out> {
  /** Where the services are. Default: the whole key space, as for Go. */
  readonly view?: Kv<Buffer, Bytes>;
  /** What metadata must be. Default: any JSON. */
  readonly metadata?: StandardSchema<In, Out>;
}

export interface Registry<Out, In> {
  /** Resolves when others can see it. */
  register(options: RegisterArgument<In>): Promise<Registration<In>>;
  list(service: string, options?: CallOptions): Promise<ServiceSnapshot<Out>>;
  /** Follows a service, until the signal aborts, it is closed, or the client is. */
  watch(service: string, options?: { readonly signal?: AbortSignal }): LiveService<Out>;
}
