/**
 * The URLs of a member, looked at before they are sent: a member that nobody reaches costs a
 * cluster its majority. etcdctl's rules and words, which are those of Go's net/url.
 */

import { CommandError, goQuoted } from '../command/index.js';

/** Throws CommandError for the first one that can't be. */
export function checkPeerUrls(urls: readonly string[]): void {
  for (const url of urls) checkUrl(url.trim());
}

const schemes: readonly string[] = ['http', 'https', 'unix', 'unixs'];

function checkUrl(url: string): void {
  const [, scheme, behind] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(url) ?? [];
  if (scheme === undefined || behind === undefined) {
    if (url.startsWith(':')) throw unparsed(url, 'missing protocol scheme');
    if (/^[^/]*:/.test(url)) throw unparsed(url, 'first path segment in URL cannot contain colon');
  }
  const name = (scheme ?? '').toLowerCase();
  if (!schemes.includes(name)) {
    throw new CommandError(`URL scheme must be http, https, unix, or unixs: ${url}`);
  }
  if (name.startsWith('unix')) return;
  const [, authority = '', path = ''] = /^\/\/([^/?#]*)([^?#]*)/.exec(behind ?? '') ?? [];
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  checkHost(url, host);
  if (!/:\d*$/.test(host)) {
    throw new CommandError(`URL address does not have the form "host:port": ${url}`);
  }
  if (path !== '') throw new CommandError(`URL must not contain a path: ${url}`);
}

function checkHost(url: string, host: string): void {
  if (host.includes(' ')) throw unparsed(url, 'invalid character " " in host name');
  if (host.startsWith('[') && !host.includes(']')) throw unparsed(url, "missing ']' in host");
  const [port] = /:[^:\]]*$/.exec(host) ?? [];
  if (port !== undefined && !/^:\d*$/.test(port)) {
    throw unparsed(url, `invalid port ${goQuoted(port)} after host`);
  }
}

function unparsed(url: string, why: string): CommandError {
  return new CommandError(`parse ${goQuoted(url)}: ${why}`);
}
