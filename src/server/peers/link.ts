/** All that goes to one member: two lanes of messages, and calls on the connection of one. */

import {
  assert,
  EtcdError,
  GrpcCode,
  type MemberId,
  peerCallsWaitingMax,
  peerControlQueueBytesMax,
  peerEntriesQueueBytesMax,
  peerMessageBytesMax,
  type Timer,
} from '../../common/index.js';
import type { Message } from '../../raft/index.js';
import type { GrpcClient } from '../../transport/index.js';
import { parseUrl, type ServerUrl } from '../options/index.js';
import { isBulk } from './codec.js';
import { type CallMetadata, errorOf, introduce, PeerError } from './handshake.js';
import { Lane, type LaneOwner } from './lane.js';
import type { PeerLink } from './link-set.js';
import { labelOf, type PeerContext } from './peer-context.js';
import type { PeerAddress, PeerMethod } from './types.js';

export function callPath(method: PeerMethod): string {
  return `/kvorum.Peer/call-${method}`;
}

/** A call that waits for the control lane. */
interface Waiting {
  readonly start: (client: GrpcClient) => void;
  readonly fail: (reason: string) => void;
}

export class Link implements LaneOwner, PeerLink {
  readonly member: MemberId;
  readonly #context: PeerContext;
  readonly #entries: Lane;
  readonly #control: Lane;
  readonly #sent: { value: number };
  readonly #failures: { value: number };
  readonly #active: { value: number };
  readonly #waiting = new Set<Waiting>();
  #metadata: CallMetadata | undefined;
  #peerUrls: readonly string[];
  #urls: readonly ServerUrl[];

  constructor(context: PeerContext, { id, peerUrls }: PeerAddress) {
    const { metrics } = context;
    const label = labelOf(id);
    this.member = id;
    this.#context = context;
    this.#sent = metrics.sentBytes.of(label);
    this.#failures = metrics.sentFailures.of(label);
    this.#active = metrics.active.of(labelOf(context.hello().memberId), label);
    this.#peerUrls = peerUrls;
    this.#urls = this.#parse(peerUrls);
    const member = id;
    const lane = (name: 'entries' | 'control', queueBytesMax: number, silenceElections: number) =>
      new Lane(context, { name, member, queueBytesMax, silenceElections }, this.#urls, this);
    this.#control = lane('control', peerControlQueueBytesMax, 1.5);
    // A ping waits behind entries that are in the socket's buffers already.
    this.#entries = lane('entries', peerEntriesQueueBytesMax, 2);
  }

  /** Where the member is dialled. */
  get urls(): readonly ServerUrl[] {
    return this.#urls;
  }

  get connectedSinceMs(): number | undefined {
    const entries = this.#entries.upSinceMs;
    const control = this.#control.upSinceMs;
    if (entries === undefined || control === undefined) return undefined;
    return Math.max(entries, control);
  }

  /** False: dropped. */
  send(message: Message): boolean {
    const lane = isBulk(message) ? this.#entries : this.#control;
    if (!lane.ready) {
      this.#failures.value += 1;
      return false;
    }
    const frame = this.#context.frames.encode(message, lane.takesClocks, lane.takesNotices);
    if (frame.length > peerMessageBytesMax) {
      // The other side would close the link each time that Raft tries again.
      const fields = { member: labelOf(this.member), type: message.type, bytes: frame.length };
      this.#context.logger.error('a message to a member is too long, dropping it', fields);
      this.#failures.value += 1;
      return false;
    }
    this.#sent.value += frame.length;
    lane.send(frame);
    return true;
  }

  call(method: PeerMethod, body: Uint8Array, timeoutMs: number): Promise<Buffer> {
    const client = this.#control.client;
    const { clock } = this.#context;
    const metadata = this.#introduction();
    if (client !== undefined) return unary(client, method, body, timeoutMs, metadata);
    if (this.#waiting.size >= peerCallsWaitingMax) return Promise.reject(unreachable(this.member));
    const deadlineMs = clock.nowMs() + timeoutMs;
    return new Promise((resolve, reject) => {
      const done = (): void => {
        timer.cancel();
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting = {
        start: (opened) => {
          done();
          const leftMs = Math.max(1, deadlineMs - clock.nowMs());
          resolve(unary(opened, method, body, leftMs, metadata));
        },
        fail: (reason) => {
          done();
          reject(unreachable(this.member, reason));
        },
      };
      const timer: Timer = clock.after(timeoutMs, () => {
        done();
        reject(new EtcdError('TIMEOUT'));
      });
      this.#waiting.add(waiting);
    });
  }

  /** The URLs may have changed. */
  update(peerUrls: readonly string[]): void {
    if (sameUrls(this.#peerUrls, peerUrls)) return;
    this.#peerUrls = peerUrls;
    this.#urls = this.#parse(peerUrls);
    this.#control.setUrls(this.#urls);
    this.#entries.setUrls(this.#urls);
  }

  stop(): void {
    this.#control.stop();
    this.#entries.stop();
    this.#failWaiting('this member stops, or the other was removed');
    assert(this.#waiting.size === 0, 'a call waits for a link that has ended');
  }

  // LaneOwner

  onUp(): void {
    if (this.connectedSinceMs !== undefined) this.#active.value = 1;
    const client = this.#control.client;
    if (client === undefined) return;
    for (const waiting of [...this.#waiting]) waiting.start(client);
  }

  onDown(): void {
    assert(this.connectedSinceMs === undefined, 'a link is up without one of its lanes');
    this.#metadata = undefined;
    const { metrics, hello } = this.#context;
    this.#context.unreachable(this.member);
    if (this.#active.value === 0) return;
    this.#active.value = 0;
    metrics.disconnected.inc(labelOf(hello().memberId), labelOf(this.member));
  }

  onDialFailed(reason: string): void {
    if (this.#control.client === undefined) this.#failWaiting(reason);
  }

  onNobodyListens(): void {
    // What is still up says the opposite.
    if (this.#entries.upSinceMs !== undefined || this.#control.upSinceMs !== undefined) return;
    this.#context.nobodyListens(this.member);
  }

  /** The same object each time: the transport encodes a head once for it. */
  #introduction(): CallMetadata {
    this.#metadata ??= introduce(this.#context.hello(), this.member);
    return this.#metadata;
  }

  #failWaiting(reason: string): void {
    for (const waiting of [...this.#waiting]) waiting.fail(reason);
  }

  /** Nobody checks the URLs of MemberUpdate, so there may be any text here. */
  #parse(peerUrls: readonly string[]): readonly ServerUrl[] {
    const urls: ServerUrl[] = [];
    for (const text of peerUrls) {
      const url = parseUrl(text);
      if (typeof url !== 'string') urls.push(url);
      else {
        const fields = { member: labelOf(this.member), reason: url };
        this.#context.logger.warn('a peer URL can not be dialled', fields);
      }
    }
    return urls;
  }
}

/** One call on an open connection. */
export function unary(
  client: GrpcClient,
  method: PeerMethod,
  body: Uint8Array,
  timeoutMs: number,
  metadata: CallMetadata,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.unary(callPath(method), body, { timeoutMs, metadata }, (status, message) => {
      if (message === undefined) reject(errorOf(status));
      else resolve(message);
    });
  });
}

/** For a member without a link. */
export function unreachable(member: MemberId, reason = 'there is no link to it'): PeerError {
  const text = `member ${labelOf(member)} can't be reached: ${reason}`;
  return new PeerError(GrpcCode.UNAVAILABLE, text);
}

function sameUrls(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((url, i) => url === b[i]);
}
