/**
 * Hands out snapshots: opens a consistent state for a member that asks, sends it piece by piece as
 * fast as it is taken, and keeps it open for a while when the connection breaks, so that the other
 * side can go on where it was. A feed holds a view of the whole store, so there are few of them,
 * and those that nobody takes from are closed.
 */

import {
  assert,
  EtcdError,
  GrpcCode,
  type MemberId,
  peerFeedIdleMs,
  peerFeedsMax,
  type Timer,
} from '../../common/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import { FrameError } from './frame.js';
import { failCall, onlyMembers, PeerError } from './handshake.js';
import type { Inbound } from './inbound.js';
import {
  decodeFeedRequest,
  encodeEnd,
  encodeOpened,
  encodePiece,
  type FeedRequest,
} from './link-frames.js';
import { labelOf, type PeerContext } from './peer-context.js';
import type { SnapshotFeed } from './types.js';

export const snapshotPath = '/kvorum.Peer/Snapshot';

/** Why a feed can't be taken up again: it was closed, or never was here. */
export const noSuchFeed = 'no such snapshot any more';

interface OpenFeed {
  readonly id: number;
  readonly member: MemberId;
  /** Undefined while it is being opened. */
  feed: SnapshotFeed | undefined;
  /** The stream that takes from it now. */
  call: ServerCall | undefined;
  /** Ends the wait for room in the stream; we end streams without being told by them. */
  wake: (() => void) | undefined;
  idleTimer: Timer | undefined;
  readonly openedMs: number;
  /** All of it was sent; still here in case that the end got lost. */
  complete: boolean;
  closed: boolean;
  /** `next` of the feed is running: it must not be closed under it. */
  busy: Promise<unknown>;
}

export class SnapshotFeeds {
  readonly #context: PeerContext;
  readonly #inbound: Inbound;
  readonly #feeds = new Map<number, OpenFeed>();

  constructor(context: PeerContext, inbound: Inbound) {
    this.#context = context;
    this.#inbound = inbound;
  }

  method(): readonly [string, MethodHandler] {
    const handle = (request: Buffer, call: ServerCall) => this.#serve(request, call);
    return [snapshotPath, { kind: 'serverStream', handle }];
  }

  /** Open feeds; for tests. */
  get count(): number {
    return this.#feeds.size;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#feeds.values()].map((open) => this.#close(open)));
  }

  #serve(bytes: Buffer, call: ServerCall): void {
    const who = this.#inbound.introduced(call);
    if (who === undefined) return;
    if (who === 'nobody') {
      call.fail(GrpcCode.PERMISSION_DENIED, onlyMembers);
      return;
    }
    let request: FeedRequest;
    try {
      request = decodeFeedRequest(bytes);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#context.metrics.receivedFailures.inc(labelOf(who.hello.memberId));
      call.fail(GrpcCode.INVALID_ARGUMENT, error.message);
      return;
    }
    void this.#run(who.hello.memberId, request, call);
  }

  async #run(member: MemberId, request: FeedRequest, call: ServerCall): Promise<void> {
    const { logger, metrics } = this.#context;
    let open: OpenFeed | undefined;
    try {
      open = request.feed === 0 ? await this.#open(member) : this.#resume(member, request.feed);
      this.#attach(open, call);
      call.send(encodeOpened(open.id));
      await this.#send(open, request.position, call);
    } catch (error) {
      failCall(call, error);
      const fields = { member: labelOf(member), error: String(error) };
      logger.warn('could not send a snapshot', fields);
      if (open === undefined) return;
      metrics.snapshotSend.failures.inc(labelOf(member));
      await this.#close(open);
    } finally {
      if (open?.call === call) open.call = undefined;
    }
  }

  async #open(member: MemberId): Promise<OpenFeed> {
    await makeRoom(this.#feeds, member, (other) => this.#close(other));
    const { clock, handler, metrics, random } = this.#context;
    const open: OpenFeed = {
      // Not counted up: a position of an earlier run of this process must not fit.
      id: random.u32() * 2 ** 20 + (random.u32() >>> 12) + 1,
      member,
      feed: undefined,
      call: undefined,
      wake: undefined,
      idleTimer: undefined,
      openedMs: clock.nowMs(),
      complete: false,
      closed: false,
      busy: Promise.resolve(),
    };
    assert(!this.#feeds.has(open.id), 'a feed with the id of another');
    this.#feeds.set(open.id, open);
    metrics.snapshotSend.inflight.of(labelOf(member)).value++;
    try {
      const feed = await handler.openSnapshot();
      open.feed = feed;
      // Stopped meanwhile.
      if (open.closed) await feed.close();
    } catch (error) {
      await this.#close(open);
      throw error;
    }
    return open;
  }

  #resume(member: MemberId, id: number): OpenFeed {
    const open = this.#feeds.get(id);
    if (open?.member !== member || open.feed === undefined) throw gone();
    assert(!open.closed, 'a feed in the list is open');
    return open;
  }

  #attach(open: OpenFeed, call: ServerCall): void {
    // The stream before it may not know yet that its connection is gone.
    open.call?.fail(GrpcCode.ABORTED, 'taken up again by another stream');
    open.call = call;
    open.wake?.();
    this.#touch(open);
  }

  async #send(open: OpenFeed, from: Uint8Array, call: ServerCall): Promise<void> {
    let position = from;
    for (;;) {
      await open.busy;
      if (open.call !== call || call.cancelled) return;
      const { feed } = open;
      if (open.closed || feed === undefined) throw gone();
      const next = feed.next(position);
      open.busy = next.catch(() => {});
      const piece = await next;
      if (open.call !== call || call.cancelled) return;
      if (piece === undefined) break;
      position = piece.position;
      this.#touch(open);
      if (!call.send(encodePiece(piece))) await drained(open, call);
    }
    call.send(encodeEnd());
    call.end();
    if (open.complete) return;
    open.complete = true;
    const { clock, metrics } = this.#context;
    const label = labelOf(open.member);
    metrics.snapshotSend.successes.inc(label);
    metrics.snapshotSend.seconds.of(label).observe((clock.nowMs() - open.openedMs) / 1000);
  }

  /** A piece was taken, or the stream taken up again. */
  #touch(open: OpenFeed): void {
    open.idleTimer?.cancel();
    if (open.closed) return;
    open.idleTimer = this.#context.clock.after(peerFeedIdleMs, () => {
      const { logger, metrics } = this.#context;
      const member = labelOf(open.member);
      if (!open.complete) {
        logger.warn('nobody takes this snapshot any more, closing it', { member });
        metrics.snapshotSend.failures.inc(member);
      }
      open.call?.fail(GrpcCode.DEADLINE_EXCEEDED, 'the snapshot was not taken');
      void this.#close(open);
    });
  }

  async #close(open: OpenFeed): Promise<void> {
    if (open.closed) return;
    open.closed = true;
    open.idleTimer?.cancel();
    const wasListed = this.#feeds.delete(open.id);
    assert(wasListed, 'an open feed is in the list');
    const { logger, metrics } = this.#context;
    const label = labelOf(open.member);
    const inflight = metrics.snapshotSend.inflight.of(label);
    inflight.value--;
    assert(inflight.value >= 0, 'more feeds were closed than opened');
    open.call?.fail(GrpcCode.ABORTED, noSuchFeed);
    open.call = undefined;
    open.wake?.();
    await open.busy;
    await open.feed?.close().catch((error: unknown) => {
      logger.error('could not close a snapshot', { member: label, error: String(error) });
    });
  }
}

/**
 * Makes room for another feed of `member`: whoever begins anew has no use for what it had before.
 * Throws EtcdError TOO_MANY_REQUESTS.
 */
export async function makeRoom<T extends { readonly member: MemberId; readonly complete: boolean }>(
  feeds: ReadonlyMap<number, T>,
  member: MemberId,
  close: (feed: T) => Promise<void>,
): Promise<void> {
  for (const other of [...feeds.values()]) if (other.member === member) await close(other);
  let running = 0;
  for (const { complete } of feeds.values()) if (!complete) running++;
  if (running >= peerFeedsMax) throw new EtcdError('TOO_MANY_REQUESTS');
}

function gone(): PeerError {
  return new PeerError(GrpcCode.NOT_FOUND, noSuchFeed);
}

/** Resolves when the stream has room again, or there is no more use for it. */
function drained(open: OpenFeed, call: ServerCall): Promise<void> {
  if (call.cancelled) return Promise.resolve();
  return new Promise((resolve) => {
    open.wake = resolve;
    call.onDrain = resolve;
    call.onCancel = resolve;
  });
}
