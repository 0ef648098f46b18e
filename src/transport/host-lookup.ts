/**
 * Addresses of host names, for whoever opens sockets: the server's network and the client's. The
 * only import of node:dns.
 */

import dns from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { SrvTarget } from '../common/index.js';

/**
 * For `lookup` of a socket. Left to itself Node leaves out addresses of a kind that no interface of
 * the machine has but its loopback: names of the hosts file are then unknown to a machine that has
 * only IPv6, or only a loopback. An address that can't be reached says so when it is dialled.
 */
export const lookupHost: LookupFunction = (host, options, done) => {
  dns.lookup(host, { ...options, hints: 0 }, done);
};

/** All addresses of a name, the preferred one first. Rejects if it has none. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  const found = await dns.promises.lookup(host, { all: true, hints: 0 });
  return found.map(({ address }) => address);
}

/** All names of an IP address, from the hosts file and DNS. Rejects if it has none. */
export function namesOfAddress(address: string): Promise<readonly string[]> {
  reverse ??= new dns.promises.Resolver({ timeout: reverseTimeoutMs, tries: 2 });
  return reverse.reverse(address);
}

const reverseTimeoutMs = 2000;
/** Needs no thread, unlike `lookup`; made when there is something to ask. */
let reverse: dns.promises.Resolver | undefined;

/** Where DNS says that a service is: the records of `_service._tcp.domain`. Rejects if it has none. */
export async function resolveSrv(name: string): Promise<readonly SrvTarget[]> {
  const found = await dns.promises.resolveSrv(name);
  return found.map(({ name: host, port }) => ({ host, port }));
}
