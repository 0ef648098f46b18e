/** Endpoints as people write them: `host:port`, `http(s)://host:port`, `unix:/path`. */

import { EtcdClientError, invalidOption } from '../errors.js';

export interface Endpoint {
  /** `host:port` (IPv6 in brackets) or `unix:/path`; what errors and events name it by. */
  readonly address: string;
  readonly host: string;
  /** 0 for a unix socket. */
  readonly port: number;
  /** The scheme was `https`. */
  readonly secure: boolean;
}

const pattern = /^(?:(https?|grpcs?):\/\/)?(\[[0-9a-f:.%]+\]|[^\s:/[\]]+)(?::(\d{1,5}))?\/?$/i;

/** Throws INVALID_OPTION. */
export function parseEndpoint(text: string): Endpoint {
  const trimmed = text.trim();
  if (/^[^/]*(?:\/\/)?[^/]*@/.test(trimmed) && !trimmed.startsWith('unix')) throw hasUser();
  const unix = /^unix(?:s?):(?:\/\/)?(.+)$/.exec(trimmed);
  if (unix?.[1] !== undefined) {
    return { address: `unix:${unix[1]}`, host: unix[1], port: 0, secure: false };
  }
  const match = pattern.exec(trimmed);
  const host = match?.[2];
  const port = Number(match?.[3] ?? '2379');
  if (host === undefined || port < 1 || port > 65_535) throw invalid(text);
  const scheme = match?.[1]?.toLowerCase();
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  const secure = scheme === 'https' || scheme === 'grpcs';
  return { address: `${host}:${port}`, host: bare, port, secure };
}

/** One or more, also comma-separated as etcdctl has them; without repeats. */
export function parseEndpoints(given: string | readonly string[]): Endpoint[] {
  const texts = typeof given === 'string' ? given.split(',') : given;
  const found = new Map<string, Endpoint>();
  for (const text of texts) {
    const endpoint = parseEndpoint(text);
    found.set(endpoint.address, endpoint);
  }
  if (found.size === 0) throw invalid('');
  return [...found.values()];
}

/** Not quoted: there may be a password in it. */
function hasUser(): EtcdClientError {
  return invalidOption('an endpoint has no user or password in it: they belong in `credentials`');
}

function invalid(text: string): EtcdClientError {
  return new EtcdClientError({
    code: 'INVALID_ARGUMENT',
    reason: 'INVALID_OPTION',
    outcome: 'failed',
    message: `not an endpoint: ${JSON.stringify(text)} (expected host:port or http(s)://host:port)`,
  });
}
