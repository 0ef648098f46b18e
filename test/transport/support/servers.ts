/** Servers and clients for the transport tests. */

import { GrpcCode, silentLogger, type TlsOptions } from '../../../src/common/index.js';
import { nodeClock } from '../../../src/server/platform/clock-node.js';
import { createHttp1 } from '../../../src/server/platform/http1-node.js';
import { nodeNetwork } from '../../../src/server/platform/network-node.js';
import {
  createGrpcServer,
  type GrpcServer,
  type GrpcServerOptions,
  type HttpHandler,
  type MethodHandler,
  type ServerCall,
} from '../../../src/transport/index.js';

/** Calls that were opened and never answered, newest last; for `/test.Echo/Hang`. */
export const hanging: ServerCall[] = [];

/** What the test servers can do. */
export const echoMethods: ReadonlyMap<string, MethodHandler> = new Map<string, MethodHandler>([
  ['/test.Echo/Unary', { kind: 'unary', handle: (request, call) => call.reply(request) }],
  [
    '/test.Echo/Parts',
    {
      kind: 'unary',
      handle: (request, call) => {
        const half = request.length >>> 1;
        call.replyParts([
          Buffer.from(request.subarray(0, half)),
          Buffer.from(request.subarray(half)),
        ]);
      },
    },
  ],
  [
    '/test.Echo/Fail',
    {
      kind: 'unary',
      handle: (request, call) => call.fail(GrpcCode.OUT_OF_RANGE, request.toString('utf8')),
    },
  ],
  [
    '/test.Echo/Count',
    {
      kind: 'serverStream',
      handle: (request, call) => {
        for (let i = 0; i < request.length; i++) call.send(Buffer.from([i]));
        call.end();
      },
    },
  ],
  [
    '/test.Echo/Bidi',
    {
      kind: 'bidi',
      handle: (call) => {
        call.onMessage = (message) => {
          if (!call.send(Buffer.from(message))) call.pause();
        };
        call.onDrain = () => call.resume();
        call.onEnd = () => call.end();
      },
    },
  ],
  [
    '/test.Echo/Metadata',
    {
      kind: 'unary',
      handle: (request, call) => {
        const key = request.toString('utf8');
        const value = key.endsWith('-bin') ? call.binaryMetadata(key) : call.metadata(key);
        call.reply(Buffer.from(value ?? 'absent'));
      },
    },
  ],
  ['/test.Echo/Hang', { kind: 'unary', handle: (_request, call) => void hanging.push(call) }],
  ['/test.Echo/HangStream', { kind: 'bidi', handle: (call) => void hanging.push(call) }],
]);

/** Answers with what it got. */
export const echoHttp: HttpHandler = async (request) => {
  let bytes = 0;
  for await (const piece of request.body) bytes += piece.length;
  const body = `${request.method} ${request.path}?${request.query} ${bytes}`;
  return { status: 200, headers: { 'content-type': 'text/plain' }, body };
};

/** A server on this machine's loopback, with HTTP/1.1. */
export async function startServer(
  options: Partial<GrpcServerOptions> = {},
  tls?: TlsOptions,
): Promise<{ readonly server: GrpcServer; readonly port: number }> {
  const server = createGrpcServer({
    clock: nodeClock,
    network: nodeNetwork,
    logger: silentLogger,
    methods: echoMethods,
    http: echoHttp,
    http1: createHttp1(options.http ?? echoHttp),
    ...options,
  });
  const listener = await server.listen({ host: '127.0.0.1', port: 0 }, tls);
  if ('path' in listener.address) throw new Error('a port was asked for');
  return { server, port: listener.address.port };
}
