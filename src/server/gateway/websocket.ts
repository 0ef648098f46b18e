/**
 * A request in a WebSocket, as etcd's proxy of them makes one: always a POST, with the token that a
 * browser can send, which has only the subprotocol (`Bearer, TOKEN`) or a cookie for it.
 */

import type { HttpHandler, HttpRequest, WebSocketAnswer } from '../../transport/index.js';

const forwarded = ['origin', 'referer', 'host'];

/** Goes on with `handle` once hands are shaken. */
export function webSocketAnswer(request: HttpRequest, handle: HttpHandler): WebSocketAnswer {
  const { headers, path, peer, query } = request;
  const protocols = headers['sec-websocket-protocol'] ?? '';
  const kept: Record<string, string | undefined> = Object.create(null);
  for (const name of forwarded) kept[name] = headers[name];
  // etcd's proxy forgets the header; programs other than browsers send it.
  kept.authorization = cookieToken(headers.cookie) ?? tokenIn(protocols) ?? headers.authorization;
  return {
    protocol: protocols.startsWith('Bearer') ? 'Bearer' : '',
    handle: (socket) => {
      const asked = { method: 'POST', path, query, headers: kept, peer, wantsWebSocket: false };
      return handle(Object.assign(socket, asked));
    },
  };
}

function tokenIn(protocols: string): string | undefined {
  const at = protocols.indexOf('Bearer,');
  return at < 0 ? undefined : `Bearer ${protocols.slice(at + 'Bearer,'.length).trim()}`;
}

function cookieToken(cookies: string | undefined): string | undefined {
  const match = /(?:^|;)\s*token=([^;]*)/.exec(cookies ?? '');
  return match === null ? undefined : `Bearer ${match[1]}`;
}
