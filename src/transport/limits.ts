/**
 * Every bound of the transport with its unit and the reason for its value. What happens at each
 * of them is said at the field of `TransportLimits` (types.ts) and in docs/limits.md.
 */

import { grpcOverheadBytes, requestBytesMaxDefault } from '../common/index.js';
import type { TransportLimits } from './types.js';

/** What a server uses unless told otherwise. */
export const transportLimitsDefault: TransportLimits = {
  // As etcd: --max-request-bytes plus 512 KiB.
  receiveMessageBytesMax: requestBytesMaxDefault + grpcOverheadBytes,
  // etcd says 2^32-1. A stream costs about 1 KiB here, so this is 100 MB a connection at worst,
  // and still ten times the watch streams of the largest client seen.
  concurrentStreamsMax: 100_000,
  // A token of the largest permitted size is below 16 KiB; grpc-go's own default is 16 MiB.
  headerListBytesMax: 64 * 1024,
  // HPACK seldom makes a block longer than its list, but may (Huffman is optional).
  headerBlockBytesMax: 64 * 1024,
  // A client that cancels a thousand calls at once is normal, ten thousand a second is an attack.
  resetsPerSecondMax: 5_000,
  // Pings that follow what we sent are not among them (flood-guard.ts): nothing sends many others.
  controlFramesPerSecondMax: 2_000,
  handshakeTimeoutMs: 10_000,
  // One message of the largest size fits a stream's window: no round trip inside a request.
  streamWindowBytes: 4 * 1024 * 1024,
  // Also the most that all paused streams of a connection hold before the peer has to wait.
  connectionWindowBytes: 16 * 1024 * 1024,
  streamBacklogHighWaterBytes: 256 * 1024,
  // Asked before an answer is made, so that one of any size passes.
  connectionBacklogBytesMax: 256 * 1024 * 1024,
  // Four connections of that kind; of a member that has less memory less (--answers-memory-bytes).
  serverBacklogBytesMax: 1024 * 1024 * 1024,
  // Longer than a client is busy with one answer, much shorter than a keepalive of two hours.
  stalledReaderMs: 30_000,
  // As etcd: grpc-go's limit, the largest that clients in languages with an int can take.
  sendMessageBytesMax: 0x7fff_ffff,
  // etcd's --grpc-keepalive-interval, -timeout and -min-time.
  keepaliveIntervalMs: 7_200_000,
  keepaliveTimeoutMs: 20_000,
  keepaliveWithoutStreams: true,
  keepaliveMinTimeMs: 5_000,
  // grpc-go's for servers that, as etcd, do not permit keepalive without streams.
  keepaliveIdleMinTimeMs: 7_200_000,
};

/** RFC 9113 section 4.2: the smallest permitted, and what we advertise and send. */
export const frameBytesMax = 16_384;
/** RFC 7541: the dynamic table size both sides start with; we never advertise another. */
export const headerTableBytes = 4_096;
/** The largest value of a window (RFC 9113 section 6.9.1). */
export const windowBytesMax = 0x7fff_ffff;
/** The largest stream identifier. */
export const streamIdMax = 0x7fff_ffff;
/** Pieces of queued messages up to this are copied into the output, longer ones are referred to. */
export const copyBytesMax = 8_192;
/** What a connection gathers until the end of a turn is in segments of such sizes, by its load. */
export const segmentBytesMin = 2 * 1024;
export const segmentBytesMax = 64 * 1024;
/** Segments that nobody uses, of all connections; of those that are idle half goes every two seconds. */
export const segmentsFreeBytesMax = 16 * 1024 * 1024;
/** Socket backlog above which queued DATA waits for the socket. */
export const socketBacklogHighWaterBytes = 1024 * 1024;
/** Frames made of queued DATA in one turn: 16 MiB of full ones, a millisecond or two of short. */
export const turnFramesMax = 4_096;
/** Streams looked at for a change of all windows that count as one control frame: some 10 us. */
export const looksPerControlFrame = 256;
/** DATA that a paused call holds is gathered in pieces that grow to this. */
export const heldPieceBytes = 64 * 1024;
/** Calls that begin in one turn after they have waited for room, unless a slice is over before. */
export const roomRunsMax = 16;
/** Calls that may wait for room, and what they may hold of their requests meanwhile. */
export const answersWaitingMax = 50_000;
export const answersWaitingBytesMax = 64 * 1024 * 1024;
/** An answer up to this is short: it waits for no long one. */
export const shortAnswerBytes = 64 * 1024;
/** Less than this, and than a sixteenth of what waits for it, is taken by no reader worth the name. */
export const stalledReaderBytes = 256 * 1024;
/** Socket backlog above which the server stops reading requests from that connection. */
export const readPauseBacklogBytes = 8 * 1024 * 1024;
/** DATA waits in queues; only heads, trailers and the like of calls that end could get there. */
export const socketBacklogBytesMax = 64 * 1024 * 1024;
/** Replies above this are not compressed even for a client that asked: it would stall the loop. */
export const compressBytesMax = 1024 * 1024;
/** grpc-go's patience with pings that come too early. */
export const pingStrikesMax = 2;
/** Streams we reset are remembered, so that frames already under way to us are ignored. */
export const resetMemoryStreams = 4_096;
