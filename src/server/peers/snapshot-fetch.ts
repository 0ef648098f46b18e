/**
 * Fetches a snapshot on a connection of its own. Each piece is checked and handed on before the
 * stream is read further, so a slow disk here slows down the sender there and fills no memory.
 * A connection that breaks is taken up again after the last piece that was handed on.
 */

import {
  assert,
  backoffMs,
  EtcdError,
  emptyBytes,
  GrpcCode,
  type MemberId,
  peerBackoffMsMax,
  peerBackoffMsMin,
  peerControlQueueBytesMax,
  peerFeedIdleMs,
  sleep,
} from '../../common/index.js';
import type { ClientStream, GrpcClient, RpcStatus } from '../../transport/index.js';
import type { ServerUrl } from '../options/index.js';
import { FrameError } from './frame.js';
import { errorOf, introduce, PeerError } from './handshake.js';
import { unreachable } from './link.js';
import { decodeFeedFrame, encodeFeedRequest, type FeedFrame } from './link-frames.js';
import { dial, dialTimeoutMs, labelOf, type PeerContext } from './peer-context.js';
import { snapshotPath } from './snapshot-feeds.js';

export interface FetchOptions {
  readonly context: PeerContext;
  readonly member: MemberId;
  /** Where it is now; undefined: it is no member any more. */
  readonly urls: () => readonly ServerUrl[] | undefined;
  readonly receive: (piece: Uint8Array) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Resolves when all of it was handed on. */
export async function fetchSnapshot(options: FetchOptions): Promise<void> {
  const { context, member } = options;
  const { clock, metrics } = context;
  const label = labelOf(member);
  const startMs = clock.nowMs();
  const inflight = metrics.snapshotReceive.inflight.of(label);
  inflight.value++;
  try {
    await new Fetch(options).run();
    metrics.snapshotReceive.successes.inc(label);
    metrics.snapshotReceive.seconds.of(label).observe((clock.nowMs() - startMs) / 1000);
  } catch (error) {
    metrics.snapshotReceive.failures.inc(label);
    throw error;
  } finally {
    inflight.value--;
  }
}

/** Damaged pieces in a row after which it is not the wire that damages them. */
const damagedMax = 5;

/** How a stream ended. */
type End = 'complete' | { readonly error: Error; readonly mayResume: boolean };

class Fetch {
  readonly #options: FetchOptions;
  #feed = 0;
  #position: Uint8Array = emptyBytes;
  #progressMs: number;
  #attempts = 0;
  #failures = 0;
  #damaged = 0;

  constructor(options: FetchOptions) {
    this.#options = options;
    this.#progressMs = options.context.clock.nowMs();
  }

  async run(): Promise<void> {
    const { context, member, signal } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      const end = await this.#attempt();
      if (end === 'complete') return;
      signal.throwIfAborted();
      if (!this.#mayTryAgain(end.mayResume)) throw end.error;
      const fields = { member: labelOf(member), reason: end.error.message };
      context.logger.info('taking up a snapshot again', fields);
      const { random } = context;
      const pauseMs = backoffMs(this.#failures++, peerBackoffMsMin, peerBackoffMsMax, random);
      await sleep(context.clock, pauseMs, signal);
    }
  }

  /** Before it was opened, each URL is tried once; afterwards while the other side keeps it. */
  #mayTryAgain(mayResume: boolean): boolean {
    const { context, urls } = this.#options;
    if (!mayResume || this.#damaged >= damagedMax) return false;
    if (this.#feed === 0) return this.#attempts < (urls()?.length ?? 0);
    return context.clock.nowMs() - this.#progressMs < peerFeedIdleMs;
  }

  async #attempt(): Promise<End> {
    const { context, member, urls, signal } = this.#options;
    const all = urls() ?? [];
    const url = all[this.#attempts++ % Math.max(1, all.length)];
    if (url === undefined) return { error: unreachable(member), mayResume: false };
    let client: GrpcClient;
    try {
      const timeoutMs = dialTimeoutMs(context);
      client = await dial(context, url, timeoutMs, peerControlQueueBytesMax, 2, signal);
    } catch (error) {
      return { error: unreachable(member, String(error)), mayResume: true };
    }
    const abort = (): void => client.destroy();
    signal.addEventListener('abort', abort);
    try {
      if (signal.aborted) return { error: unreachable(member), mayResume: false };
      return await this.#read(client);
    } finally {
      signal.removeEventListener('abort', abort);
      client.destroy();
    }
  }

  async #read(client: GrpcClient): Promise<End> {
    const { context, member } = this.#options;
    const metadata = introduce(context.hello(), member);
    const stream = client.stream(snapshotPath, { metadata });
    const frames = new FrameQueue(stream);
    stream.send(encodeFeedRequest(this.#feed, this.#position));
    stream.end();
    for (;;) {
      const next = await frames.next();
      if (next instanceof FrameError) {
        context.metrics.receivedFailures.inc(labelOf(member));
        this.#damaged++;
        return { error: next, mayResume: true };
      }
      // What had arrived already is not wanted either.
      if (this.#options.signal.aborted) return { error: unreachable(member), mayResume: false };
      if ('code' in next) return endOf(next);
      if (next.kind === 'end') return 'complete';
      if (next.kind === 'opened') {
        this.#feed = next.feed;
        continue;
      }
      await this.#options.receive(next.piece.data);
      this.#position = next.piece.position;
      this.#progressMs = context.clock.nowMs();
      this.#failures = 0;
      this.#damaged = 0;
    }
  }
}

/** A stream that ended before the last frame. */
function endOf(status: RpcStatus): End {
  if (status.code === GrpcCode.OK) {
    const error = new PeerError(GrpcCode.INTERNAL, 'the snapshot ended too early');
    return { error, mayResume: true };
  }
  const error = errorOf(status);
  const broken: readonly GrpcCode[] = [
    GrpcCode.UNAVAILABLE,
    GrpcCode.CANCELLED,
    GrpcCode.ABORTED,
    GrpcCode.INTERNAL,
  ];
  const mayResume = !(error instanceof EtcdError) && broken.includes(status.code);
  return { error, mayResume };
}

/** One frame at a time; the stream is paused while it is being used. */
class FrameQueue {
  readonly #stream: ClientStream;
  #frame: FeedFrame | FrameError | undefined;
  #status: RpcStatus | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: ClientStream) {
    this.#stream = stream;
    stream.onMessage = (bytes) => {
      stream.pause();
      assert(this.#frame === undefined, 'a paused stream hands on a frame');
      this.#frame = decoded(bytes);
      this.#wake?.();
    };
    stream.onStatus = (status) => {
      this.#status = status;
      this.#wake?.();
    };
  }

  async next(): Promise<FeedFrame | FrameError | RpcStatus> {
    this.#stream.resume();
    for (;;) {
      const frame = this.#frame;
      if (frame !== undefined) {
        this.#frame = undefined;
        return frame;
      }
      if (this.#status !== undefined) return this.#status;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function decoded(bytes: Buffer): FeedFrame | FrameError {
  try {
    return decodeFeedFrame(bytes);
  } catch (error) {
    if (error instanceof FrameError) return error;
    throw error;
  }
}
