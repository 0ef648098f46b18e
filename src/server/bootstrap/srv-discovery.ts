/**
 * --discovery-srv: the members that found a cluster, from SRV records of DNS. As in etcd, the
 * services `_etcd-server-ssl._tcp` (https) and `_etcd-server._tcp` (http) of the domain name them;
 * the one at this member's advertised address is this member, the others are called 0, 1, ... until
 * they tell their names.
 */

import type { Logger, Network } from '../../common/index.js';
import { parseUrl, type ServerConfig, UsageError, verifyExitCode } from '../options/index.js';

export interface SrvDiscovery {
  readonly config: Pick<ServerConfig, 'advertisePeerUrls' | 'name'>;
  readonly domain: string;
  /** --discovery-srv-name: appended to the names of the services, with a dash; '': nothing. */
  readonly serviceName: string;
  readonly logger: Logger;
  readonly network: Pick<Network, 'resolve' | 'resolveSrv'>;
}

/** The initial cluster. Rejects with {@link UsageError} if there is none with this member in it. */
export async function discoverBySrv(
  options: SrvDiscovery,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { config, domain, logger } = options;
  const own = await ownPlaces(options);
  const problems: string[] = [];
  const members = new Map<string, string[]>();
  for (const scheme of ['https', 'http'] as const) {
    for (const url of await recordsOf(options, scheme, problems)) {
      const place = await placeOf(options, url, problems);
      if (place === undefined) continue;
      const schemes = own.get(place);
      if (schemes === undefined) members.set(nextName(members, config.name), [url]);
      else if (schemes.has(scheme)) {
        members.set(config.name, [...(members.get(config.name) ?? []), url]);
      } else problems.push(`${url} is this member, which does not advertise ${scheme}`);
    }
  }
  logger.info('asked DNS for the members', { domain, members: [...members].map(String), problems });
  if (members.has(config.name)) return members;
  const why = problems.length === 0 ? '' : `: ${problems.slice(0, 3).join('; ')}`;
  throw new UsageError(
    `cannot find local etcd member ${JSON.stringify(config.name)} in SRV records of ${domain} ` +
      `(--initial-advertise-peer-urls=${config.advertisePeerUrls.join(',')})${why}`,
    verifyExitCode,
  );
}

/** "address port" of each advertised URL, with the schemes under which it is advertised. */
async function ownPlaces({
  config,
  network,
}: SrvDiscovery): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const places = new Map<string, Set<string>>();
  for (const text of config.advertisePeerUrls) {
    const url = parseUrl(text);
    if (typeof url === 'string' || 'path' in url.address) continue;
    const { host, port } = url.address;
    const addresses = await network.resolve(host).catch((cause: unknown) => {
      throw new UsageError(`--discovery-srv: ${text} can't be resolved: ${messageOf(cause)}`);
    });
    for (const address of addresses) {
      const place = `${address} ${port}`;
      places.set(place, new Set([...(places.get(place) ?? []), url.scheme]));
    }
  }
  return places;
}

/** URLs of the members that are listed for a scheme. */
async function recordsOf(
  { domain, network, serviceName }: SrvDiscovery,
  scheme: 'http' | 'https',
  problems: string[],
): Promise<string[]> {
  const suffix = serviceName === '' ? '' : `-${serviceName}`;
  const name = `_etcd-server${scheme === 'https' ? '-ssl' : ''}${suffix}._tcp.${domain}`;
  try {
    const targets = (await network.resolveSrv?.(name)) ?? [];
    return targets.map(({ host, port }) => `${scheme}://${host.replace(/\.$/, '')}:${port}`);
  } catch (cause) {
    problems.push(`error querying DNS SRV records for ${name}: ${messageOf(cause)}`);
    return [];
  }
}

/** Undefined, and a problem: it is no URL, or its name is unknown. */
async function placeOf(
  { network }: SrvDiscovery,
  text: string,
  problems: string[],
): Promise<string | undefined> {
  const url = parseUrl(text);
  if (typeof url === 'string' || 'path' in url.address) {
    problems.push(String(url));
    return undefined;
  }
  const { host, port } = url.address;
  try {
    const [address] = await network.resolve(host);
    return `${address} ${port}`;
  } catch (cause) {
    problems.push(`${text} can't be resolved: ${messageOf(cause)}`);
    return undefined;
  }
}

function nextName(members: ReadonlyMap<string, unknown>, own: string): string {
  for (let i = 0; ; i += 1) {
    const name = String(i);
    if (name !== own && !members.has(name)) return name;
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
