/** gRPC over our own HTTP/2: the server half, the client half, and what both are described by. */
export { type ConnectOptions, connectGrpc } from './client.js';
export { lookupHost, namesOfAddress, resolveHost, resolveSrv } from './host-lookup.js';
export { transportLimitsDefault } from './limits.js';
export { AnswerHold, type RoomCounts, type RoomUser, SendRoom } from './send-room.js';
export {
  createGrpcServer,
  type GrpcServer,
  type GrpcServerOptions,
  type Http1Acceptor,
} from './server.js';
export { peerName, SharedReads, SocketStream } from './socket-stream.js';
export { turnFlusherOf } from './turn-flusher.js';
export * from './types.js';
