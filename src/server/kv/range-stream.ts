/**
 * KV.RangeStream (etcd 3.7): a range in chunks, all at one revision, so that neither side holds the
 * whole of it. Merged, the chunks equal the unary reply: header, more and count come with the last.
 * Back-pressure: a chunk is read only once the one before it has left.
 */

import { EtcdError, type Revision, rangeStreamFirstChunkKeys } from '../../common/index.js';
import {
  decodeKeyValue,
  decodeRangeRequest,
  encodeRangeStreamResponse,
  type RangeRequest,
  rangeResponseBytes,
} from '../../proto/index.js';
import type { RangeResult } from '../../storage/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import type { Host } from '../feature/index.js';
import { drained, failCall, headerAt, refuseCall, roomFor, unaryMethod } from '../rpc/index.js';
import { checkRangeStream, isStreamSorted } from './check-request.js';
import { readDenied } from './rpc.js';

interface Streaming {
  readonly host: Host;
  readonly call: ServerCall;
  readonly request: RangeRequest;
}

export function rangeStreamMethod(host: Host): readonly [string, MethodHandler] {
  const handle = (bytes: Buffer, call: ServerCall): void => {
    const request = decodeRangeRequest(bytes);
    const wrong = checkRangeStream(request);
    if (wrong !== undefined) {
      refuseCall(call, wrong);
      return;
    }
    const streaming = { host, call, request };
    if (request.serializable) start(streaming, undefined);
    else host.read(start, streaming, bytes.length);
  };
  return unaryMethod(host, '/etcdserverpb.KV/RangeStream', handle, 'serverStream');
}

function start(streaming: Streaming, error: EtcdError | undefined): void {
  const { host, call } = streaming;
  if (error !== undefined) {
    failCall(host, call, error);
    return;
  }
  stream(streaming)
    .catch((thrown: unknown) => failCall(host, call, thrown))
    .finally(() => call.leaveRoom());
}

async function stream(streaming: Streaming): Promise<void> {
  const { host, request } = streaming;
  host.metrics.rangeTotal++;
  const main = request.revision > 0 ? request.revision : host.store.revision;
  if (isStreamSorted(request)) await streamSorted(streaming, main);
  else await streamByKey(streaming, main);
}

async function streamByKey({ host, call, request }: Streaming, main: Revision): Promise<void> {
  const { store } = host;
  const header = headerAt(host, store.revision);
  let key = request.key;
  let left = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
  let chunkKeys = rangeStreamFirstChunkKeys;
  let count = -1;
  while (!call.cancelled) {
    const waits = roomFor(call);
    if (waits !== undefined) await waits;
    if (call.cancelled) return;
    refuseReading(host, call, request);
    // Checked anew for each chunk: a compaction may have passed the pinned revision.
    const wrong = store.checkRevision(main);
    if (wrong !== undefined) throw wrong;
    const limit = request.countOnly ? 0 : Math.min(left, chunkKeys);
    const query = { ...request, key, limit };
    const found = await store.range(query, { main, sub: Number.POSITIVE_INFINITY }, call);
    if (count < 0) count = found.count;
    left -= found.kvs.length;
    if (!found.more || left <= 0) {
      sendLast(call, header, { kvs: found.kvs, more: found.more, count });
      return;
    }
    chunkKeys = nextChunkKeys(chunkKeys, found.kvs, host.requestBytesMax);
    key = `${lastKey(found)}\0`;
    const sent = sendChunk(call, found.kvs);
    call.leaveRoom();
    await sent;
  }
}

/** What Range would answer, in chunks: sorted, it is read as a whole, and held until it is sent. */
async function streamSorted({ host, call, request }: Streaming, main: Revision): Promise<void> {
  const { store } = host;
  refuseReading(host, call, request);
  const wrong = store.checkRevision(main);
  if (wrong !== undefined) throw wrong;
  const header = headerAt(host, store.revision);
  const found = await store.range(request, { main, sub: Number.POSITIVE_INFINITY }, call);
  call.settleRoom();
  let from = 0;
  let chunkKeys = rangeStreamFirstChunkKeys;
  while (!call.cancelled) {
    const kvs = found.kvs.slice(from, from + chunkKeys);
    from += kvs.length;
    if (from >= found.kvs.length) {
      sendLast(call, header, { kvs, more: found.more, count: found.count });
      return;
    }
    chunkKeys = nextChunkKeys(chunkKeys, kvs, host.requestBytesMax);
    await sendChunk(call, kvs);
  }
}

/** For each chunk: what a caller may not read any more, it does not get. */
function refuseReading(host: Host, call: ServerCall, request: RangeRequest): void {
  const denied = readDenied(host, call, request);
  if (denied !== undefined) throw new EtcdError(denied);
}

function sendLast(call: ServerCall, header: Buffer, last: RangeResult): void {
  call.sendParts(encodeRangeStreamResponse(header, last));
  call.end();
}

async function sendChunk(call: ServerCall, kvs: RangeResult['kvs']): Promise<void> {
  const chunk: RangeResult = { kvs, more: false, count: 0 };
  if (!call.sendParts(encodeRangeStreamResponse(undefined, chunk))) await drained(call);
}

/** Towards chunks of `targetBytes`, as etcd. */
function nextChunkKeys(keys: number, kvs: RangeResult['kvs'], targetBytes: number): number {
  const bytes = rangeResponseBytes(undefined, { kvs, more: false, count: 0 });
  if (bytes < targetBytes / 2) return keys * 2;
  return bytes > targetBytes * 2 ? Math.max(1, Math.floor(keys / 2)) : keys;
}

function lastKey(found: RangeResult): string {
  const record = found.kvs[found.kvs.length - 1] ?? new Uint8Array();
  return decodeKeyValue(Buffer.from(record.buffer, record.byteOffset, record.byteLength)).key;
}
