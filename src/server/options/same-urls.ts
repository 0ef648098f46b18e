/**
 * Whether URLs that are written differently mean the same address: numbers in any way of writing
 * them, and names by what they resolve to. As etcd: names are only resolved if the texts alone do
 * not do it, and a name that is unknown is asked for again until the time is over, because the name
 * service often learns of a new member later than the member starts.
 */

import { type Clock, type Logger, type Network, onAbort, sleep } from '../../common/index.js';
import { isIpHost, parseUrl } from './urls.js';

/** What is needed to compare names. */
export interface Naming {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Undefined: names are only compared as they are. */
  readonly resolve: Network['resolve'] | undefined;
  /** Gives up. */
  readonly signal?: AbortSignal | undefined;
}

/** etcd's times for one comparison of all members. */
export const resolveTimeoutMs = 30_000;
const retryMs = 1000;

/** One address in the only way of writing it; the host is what is compared by resolving. */
interface Place {
  /** All but the host; alone enough for what has no host. */
  readonly rest: string;
  readonly host: string;
}

/** The host in one way of writing: '::1', '127.0.0.1', 'a.example'. */
export function canonicalHost(host: string): string {
  if (!host.includes(':')) return host.toLowerCase().replace(/\.$/, '');
  const [numbers = '', zone] = host.split(/%(.*)/s);
  const short = new URL(`http://[${numbers}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short);
  if (mapped !== null) {
    const halves = [mapped[1], mapped[2]].map((half) => Number.parseInt(half ?? '0', 16));
    return halves.flatMap((half) => [half >> 8, half & 0xff]).join('.');
  }
  return zone === undefined ? short : `${short}%${zone}`;
}

function placeOf(text: string): Place {
  const url = parseUrl(text);
  if (typeof url === 'string') return { rest: text, host: '' };
  const { address, scheme } = url;
  if ('path' in address) return { rest: `${scheme} ${address.path}`, host: '' };
  return { rest: `${scheme} ${address.port}`, host: canonicalHost(address.host) };
}

/** The URLs differ whatever their names resolve to. */
export function areCertainlyDifferent(a: string, b: string): boolean {
  const [one, other] = [placeOf(a), placeOf(b)];
  if (one.rest !== other.rest) return true;
  return one.host !== other.host && isIpHost(one.host) && isIpHost(other.host);
}

/** Compares URLs; remembers what names resolve to. For one question: names move. */
export class UrlComparison {
  readonly #naming: Naming;
  readonly #untilMs: number;
  readonly #known = new Map<string, Promise<readonly string[]>>();

  constructor(naming: Naming) {
    this.#naming = naming;
    this.#untilMs = naming.clock.nowMs() + resolveTimeoutMs;
  }

  /** Each of `a` is one of `b`, and the other way. Rejects with the signal's reason. */
  async areSame(a: readonly string[], b: readonly string[]): Promise<boolean> {
    if (a.length !== b.length) return false;
    const rest = b.map(placeOf);
    const open: Place[] = [];
    for (const place of a.map(placeOf)) {
      const index = rest.findIndex(
        (other) => other.rest === place.rest && other.host === place.host,
      );
      if (index < 0) open.push(place);
      else rest.splice(index, 1);
    }
    // Nothing is asked about URLs that names can't make equal.
    if (!open.every((place) => rest.some((other) => other.rest === place.rest))) return false;
    for (const place of open) {
      const index = await this.#find(place, rest);
      if (index < 0) return false;
      rest.splice(index, 1);
    }
    return true;
  }

  async #find(place: Place, among: readonly Place[]): Promise<number> {
    for (const [index, other] of among.entries()) {
      if (other.rest !== place.rest || other.host === '' || place.host === '') continue;
      if (isIpHost(other.host) && isIpHost(place.host)) continue;
      const [ours, theirs] = await Promise.all([this.#addresses(place), this.#addresses(other)]);
      // A name may have several; one in common is one machine.
      if (ours.some((address) => theirs.includes(address))) return index;
    }
    return -1;
  }

  #addresses({ host }: Place): Promise<readonly string[]> {
    const known = this.#known.get(host) ?? this.#resolve(host);
    this.#known.set(host, known);
    return known;
  }

  async #resolve(host: string): Promise<readonly string[]> {
    const { clock, logger, resolve, signal } = this.#naming;
    if (isIpHost(host)) return [host];
    if (resolve === undefined) return [];
    const end = new AbortController();
    const takeBack = onAbort(signal, () => end.abort(signal?.reason));
    try {
      for (;;) {
        end.signal.throwIfAborted();
        try {
          const addresses = (await resolve(host)).map(canonicalHost);
          logger.info('resolved a host name', { host, addresses });
          return addresses;
        } catch (error) {
          const leftMs = this.#untilMs - clock.nowMs();
          logger.warn('failed to resolve a host name', { host, error, retryMs });
          if (leftMs <= retryMs) return [];
        }
        await sleep(clock, retryMs, end.signal);
      }
    } finally {
      takeBack();
    }
  }
}
