/**
 * etcd's JSON gateway: a request under /v3/ becomes a call of the member's own methods, behind the
 * same guards as one over gRPC, and its answers become JSON.
 *
 * A call of the gateway is made by nobody but who its token names: never by the common name of the
 * certificate of the connection (CVE-2018-16886).
 */

import { GrpcCode } from '../../common/index.js';
import type { RpcDescriptor } from '../../proto/index.js';
import type { HttpHandler, HttpRequest, HttpResponse, PeerOfCall } from '../../transport/index.js';
import { GatewayRoom } from './answer-room.js';
import { bindings } from './bindings.js';
import { BodyBudget } from './bodies.js';
import { GatewayCall, type GatewayOptions, type GatewayShared } from './call.js';
import { type Failure, failedAnswer } from './errors.js';
import { binaryFault, metadataOf, timeoutOf } from './metadata.js';
import { webSocketAnswer } from './websocket.js';

/** Makes the handler of paths under /v3/ and /v3beta/. */
export function createGateway(options: GatewayOptions): HttpHandler {
  const { clock } = options;
  const shared = { ...options, room: new GatewayRoom(clock), budget: new BodyBudget() };
  const byPath = bindings();
  const handle = async (request: HttpRequest): Promise<HttpResponse> => {
    const rpc = byPath.get(boundPath(request.path));
    if (rpc === undefined) return failedAnswer(notFound);
    if (methodOf(request) !== 'POST') return failedAnswer(notAllowed);
    return answer(shared, rpc, request);
  };
  return async (request) => {
    if (!request.wantsWebSocket) return handle(request);
    return { status: 101, headers: {}, body: '', webSocket: webSocketAnswer(request, handle) };
  };
}

const notFound: Failure = { code: GrpcCode.NOT_FOUND, message: 'Not Found' };
const notAllowed: Failure = { code: GrpcCode.UNIMPLEMENTED, message: 'Method Not Allowed' };
const nobody = { commonName: '', certificateVerified: false };

/** The path without escapes, of the version that is meant. */
function boundPath(path: string): string {
  const plain = path.includes('%') ? decodeURIComponent(path) : path;
  return plain.replace(/^\/v3beta\//, '/v3/');
}

/** Of a form it is said by a header; then the form is what its body was for. */
function methodOf({ method, headers }: HttpRequest): string {
  const override = headers['x-http-method-override'] ?? '';
  const isForm = headers['content-type'] === 'application/x-www-form-urlencoded';
  return method === 'POST' && isForm && override !== '' ? override.toUpperCase() : method;
}

async function answer(
  shared: GatewayShared,
  rpc: RpcDescriptor,
  request: HttpRequest,
): Promise<HttpResponse> {
  const timeoutMs = timeoutOf(request);
  const fault = typeof timeoutMs === 'object' ? timeoutMs : binaryFault(request);
  if (fault !== undefined) return failedAnswer(fault);
  const peer: PeerOfCall = { address: request.peer.address, identity: nobody };
  const deadlineMs = typeof timeoutMs === 'number' ? shared.clock.nowMs() + timeoutMs : undefined;
  const options = { method: rpc.name, peer, metadata: metadataOf(request), deadlineMs };
  return new GatewayCall(shared, rpc, request, options).answer();
}
