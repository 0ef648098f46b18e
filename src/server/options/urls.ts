/**
 * URLs as etcd's flags and members have them: a scheme, a host with a port or the path of a unix
 * socket, and nothing else. The text is kept as typed, because member ids are made from it.
 */

import type { NetworkAddress } from '../../common/index.js';
import { quote, UsageError } from './usage-error.js';

export type UrlScheme = 'http' | 'https' | 'unix' | 'unixs';

/** One checked URL. */
export interface ServerUrl {
  /** As typed, but for the scheme, which is in small letters as Go has it. */
  readonly text: string;
  readonly scheme: UrlScheme;
  /** True if it is spoken to with TLS. */
  readonly secure: boolean;
  /** Without brackets; '' for a unix socket. */
  readonly host: string;
  /** What to listen on or to connect to. */
  readonly address: NetworkAddress;
}

/**
 * Checks the URLs of `flag`; sorted by text, duplicates removed, as etcd has them. Throws
 * {@link UsageError}.
 */
export function parseUrls(flag: string, texts: readonly string[]): readonly ServerUrl[] {
  const sorted = [...new Set(texts)].sort();
  return sorted.map((text) => {
    const parsed = parseUrl(text);
    if (typeof parsed !== 'string') return parsed;
    throw new UsageError(`invalid value ${quote(text)} for flag --${flag}: ${parsed}`);
  });
}

const schemes: ReadonlySet<string> = new Set(['http', 'https', 'unix', 'unixs']);

/** One URL, or a sentence saying what is wrong with it. */
export function parseUrl(typed: string): ServerUrl | string {
  const match = /^([a-z][a-z\d+.-]*):\/\/(.*)$/i.exec(typed);
  const scheme = match?.[1]?.toLowerCase() ?? '';
  const text = match === null ? typed : `${scheme}${typed.slice(scheme.length)}`;
  if (match === null || !isScheme(scheme)) {
    return `URL scheme must be http, https, unix, or unixs: ${quote(text)}`;
  }
  const rest = match[2] ?? '';
  const secure = scheme === 'https' || scheme === 'unixs';
  if (scheme === 'unix' || scheme === 'unixs') {
    if (rest === '') return `URL must name a socket file: ${quote(text)}`;
    if (Buffer.byteLength(rest) > unixPathBytesMax) {
      return `path of a unix socket is longer than ${unixPathBytesMax} bytes`;
    }
    return { text, scheme, secure, host: '', address: { path: rest } };
  }
  return parseHostPort(text, scheme, rest);
}

/** sun_path of Linux with its final NUL. */
const unixPathBytesMax = 107;

function isScheme(scheme: string): scheme is UrlScheme {
  return schemes.has(scheme);
}

function parseHostPort(text: string, scheme: 'http' | 'https', rest: string): ServerUrl | string {
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  if (authority !== rest) return `URL must not contain a path: ${quote(text)}`;
  if (authority.includes('@')) return 'URL must not contain a user name or password';
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(authority);
  // In a URL the '%' before a zone is written '%25'.
  const host = match?.[1]?.replace('%25', '%') ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  if (match === null || !(port <= 65_535)) {
    return `URL address does not have the form "host:port": ${quote(text)}`;
  }
  if (match[1] === undefined ? !isHostName(host) : !isIpv6(host)) {
    return `URL has no valid host: ${quote(text)}`;
  }
  // Go prefers IPv4 for this name and Node whatever comes first; clients expect Go's choice.
  const address = { host: host === 'localhost' ? '127.0.0.1' : host, port };
  return { text, scheme, secure: scheme === 'https', host, address };
}

function isHostName(host: string): boolean {
  return host.length <= 253 && /^[A-Za-z\d_]([A-Za-z\d._-]*[A-Za-z\d_.])?$/.test(host);
}

function isIpv6(host: string): boolean {
  return host.includes(':') && URL.canParse(`http://[${host.replace(/%.*$/, '')}]/`);
}

/** True for an address in numbers. */
export function isIpHost(host: string): boolean {
  const parts = host.split('.');
  const four = parts.length === 4 && parts.every((p) => /^\d{1,3}$/.test(p) && Number(p) <= 255);
  return four || isIpv6(host);
}

/** A socket can only be bound to an address of this machine, not to any name. As etcd. */
export function checkBindUrls(flag: string, urls: readonly ServerUrl[]): void {
  for (const url of urls) {
    if (url.host === '' || url.host === 'localhost' || isIpHost(url.host)) continue;
    throw new UsageError(
      `--${flag}: expected IP in URL for binding (${url.text}); ` +
        'use http://0.0.0.0:port to listen on all addresses',
    );
  }
}

/** `name=url,name=url,...`: the URLs of each member, sorted. Throws {@link UsageError}. */
export function parseInitialCluster(text: string): ReadonlyMap<string, readonly string[]> {
  const members = new Map<string, string[]>();
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const equals = part.indexOf('=');
    const name = part.slice(0, equals).trim();
    const url = part.slice(equals + 1).trim();
    if (equals < 0 || name === '' || url === '') {
      throw new UsageError(
        `invalid value ${quote(part)} in --initial-cluster: must be name=url,name=url,...`,
      );
    }
    const parsed = parseUrl(url);
    if (typeof parsed === 'string') {
      throw new UsageError(`invalid value ${quote(part)} in --initial-cluster: ${parsed}`);
    }
    const urls = members.get(name);
    if (urls === undefined) members.set(name, [parsed.text]);
    else urls.push(parsed.text);
  }
  for (const urls of members.values()) urls.sort();
  return members;
}
