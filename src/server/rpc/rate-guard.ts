/**
 * `--rate-limit`: how many requests a user, or an address, may make. A call above it is refused and
 * told when to come again; a message of a stream that is open waits its turn, and the stream is not
 * read meanwhile, for its other watches must not suffer.
 *
 * Not counted, and so never held up: what keeps leases alive or ends them, members, maintenance and
 * health. What a client gives up (a watch that it cancels) is free as well.
 */

import {
  type Clock,
  EtcdError,
  rateLimitDelayMsMax,
  rateLimitKeysMax,
} from '../../common/index.js';
import { decodeWatchRequest } from '../../proto/index.js';
import type { PeerOfCall, ServerCall } from '../../transport/index.js';
import { TokenBuckets } from '../guard/index.js';
import type { Metrics } from '../metrics/index.js';
import type { RateLimit } from '../options/index.js';
import { retryDetails } from './retry-info.js';

const freeServices = [
  '/etcdserverpb.Cluster/',
  '/etcdserverpb.Maintenance/',
  '/grpc.health.v1.Health/',
];
const freeMethods = new Set([
  '/etcdserverpb.Lease/LeaseKeepAlive',
  '/etcdserverpb.Lease/LeaseRevoke',
]);

const watchMethod = '/etcdserverpb.Watch/Watch';
/** A WatchRequest that cancels a watch has it: its field 2. */
const watchCancelTag = 0x12;

export class RateGuard {
  readonly #clock: Clock;
  readonly #limit: RateLimit;
  readonly #metrics: Metrics | undefined;
  readonly #buckets: TokenBuckets;
  /** Of connections, for theirs is asked for with each call. */
  readonly #addresses = new WeakMap<PeerOfCall, string>();

  constructor(limit: RateLimit, clock: Clock, metrics: Metrics | undefined) {
    this.#limit = limit;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#buckets = new TokenBuckets({ ...limit, clock, keysMax: rateLimitKeysMax });
  }

  /** The guard of one method; undefined: it is free. */
  of(method: string): RateGuard | undefined {
    const isFree = freeMethods.has(method) || freeServices.some((one) => method.startsWith(one));
    return isFree ? undefined : this;
  }

  /** True: the call was above the limit and has been ended. Its caller is known, if ever. */
  refuses(call: ServerCall): boolean {
    if (call.caller?.isMember === true) return false;
    const waitMs = this.#buckets.take(this.#keyOf(call));
    if (waitMs === 0) return false;
    this.#refuse(call, waitMs);
    return true;
  }

  /** Holds up the messages of a stream whose handler has just begun; called once. */
  pace(call: ServerCall): void {
    const receive = call.onMessage;
    if (receive === undefined || call.caller?.isMember === true) return;
    const held: Buffer[] = [];
    const release = (): void => {
      for (let message = held.shift(); message !== undefined; message = held.shift()) {
        if (call.cancelled) return;
        receive(message);
        const [next] = held;
        if (next !== undefined && this.#delay(call, next, release)) return;
      }
      call.resume();
    };
    call.onMessage = (message) => {
      if (held.length > 0) {
        // The handler went on reading by itself; the order stays.
        held.push(Buffer.from(message));
        call.pause();
      } else if (isFree(call, message)) receive(message);
      else if (this.#delay(call, message, release)) {
        held.push(Buffer.from(message));
        call.pause();
      } else if (!call.cancelled) receive(message);
    };
  }

  /** True: the message has to wait until `release` is called, or the stream has been ended. */
  #delay(call: ServerCall, message: Buffer, release: () => void): boolean {
    const key = this.#keyOf(call);
    const waitMs = isFree(call, message) ? 0 : this.#buckets.reserve(key, rateLimitDelayMsMax);
    if (waitMs === 0) return false;
    if (waitMs === Number.POSITIVE_INFINITY) {
      this.#refuse(call, this.#buckets.take(key));
      // The handler did not end it, so it has to be told.
      call.onCancel?.();
      return true;
    }
    this.#metrics?.rateLimited.inc('delayed');
    this.#clock.after(waitMs, release);
    return true;
  }

  #refuse(call: ServerCall, waitMs: number): void {
    this.#metrics?.rateLimited.inc('refused');
    const { code, message } = new EtcdError('RATE_LIMITED');
    const retryMs = Math.max(1, Math.ceil(waitMs));
    const text = `${message}, come again in ${retryMs} ms`;
    call.fail(code, text, retryDetails(code, text, retryMs));
  }

  #keyOf({ caller, peer }: ServerCall): string {
    const { per } = this.#limit;
    // Names can be anything, also what looks like an address.
    if (per === 'user' && caller !== undefined && caller.name !== '') return `user ${caller.name}`;
    let address = this.#addresses.get(peer);
    if (address === undefined) {
      address = `address ${hostOf(peer.address)}`;
      this.#addresses.set(peer, address);
    }
    return address;
  }
}

/** What gives something up: by what it comes to, for the last member of a union counts. */
function isFree(call: ServerCall, message: Buffer): boolean {
  if (message[0] !== watchCancelTag || call.method !== watchMethod) return false;
  try {
    return decodeWatchRequest(message).type === 'cancel';
  } catch {
    return false;
  }
}

/** Without the port; of IPv6 the first half, for a host has all of the other. */
export function hostOf(address: string): string {
  const host = /^\[(.*)\](?::\d+)?$/.exec(address)?.[1];
  if (host === undefined) return address.replace(/:\d+$/, '');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host);
  if (mapped !== null) return mapped[1] ?? host;
  const [head = '', tail] = host.split('%', 1)[0]?.split('::') ?? [];
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const rest = tail === '' ? [] : tail.split(':');
    while (groups.length + rest.length < 8) groups.push('0');
    groups.push(...rest);
  }
  // Two hosts behind ::1 or an address of one link are different ones.
  if (groups.slice(0, 4).every((group) => /^0*$/.test(group)) || /^fe[89ab]/i.test(head))
    return host;
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
