/** The core's end: records become calls of the handlers that the product has, guards included. */

import { type Caller, EtcdError, emptyBytes, GrpcCode } from '../../../src/common/index.js';
import { nodeClock } from '../../../src/server/platform/index.js';
import type { DoorbellButton } from '../../../src/server/platform/io-threads/doorbell.js';
import {
  type RecordSink,
  type RingMemory,
  RingReader,
  RingWriter,
} from '../../../src/server/platform/io-threads/ring.js';
import type {
  AnswerHold,
  CallObserver,
  MessageCounts,
  MethodHandler,
  PeerOfCall,
  RoomUser,
  SendRoom,
  ServerCall,
} from '../../../src/transport/index.js';
import {
  Assembler,
  type CallHead,
  fromCore,
  fromSockets,
  kindMask,
  methodShift,
  noParts,
  Outbox,
} from './records.js';

/** What all calls of the core share. */
export interface CoreShared {
  readonly methods: ReadonlyArray<readonly [string, MethodHandler]>;
  readonly observe: CallObserver;
  readonly room: SendRoom;
}

/** What calls with the same metadata on one connection share. */
interface Head {
  readonly peer: PeerOfCall;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Bytes of one stream that may wait for room in the ring. */
const waitingBytesMax = 256 * 1024;

/** One thread with sockets, as the core sees it. */
export class SocketsLink implements RecordSink, RoomUser {
  readonly shared: CoreShared;
  readonly queuedBytes = 0;
  readonly dequeuedBytes = 0;
  readonly #out: Outbox;
  readonly #ring: RingReader;
  readonly #bell: DoorbellButton;
  readonly #assembler = new Assembler();
  readonly #heads: Head[] = [];
  readonly #calls: Array<RemoteCall | undefined> = [];
  #rings = false;
  /** Of the turn: one reading for many calls. */
  nowMs = 0;
  records = 0;
  turns = 0;

  constructor(shared: CoreShared, toCore: RingMemory, toSockets: RingMemory, bell: DoorbellButton) {
    this.shared = shared;
    this.#ring = new RingReader(toCore);
    this.#out = new Outbox(new RingWriter(toSockets));
    this.#bell = bell;
  }

  onStalled(): void {}

  /** Handles what has come; true if anything did. */
  work(): boolean {
    this.nowMs = nodeClock.nowMs();
    const records = this.#ring.drain(this);
    if (records > 0) {
      this.records += records;
      this.turns += 1;
    }
    const flushed = this.#out.flush();
    if (flushed || (records > 0 && this.#ring.takeWish())) this.#bell.press();
    return records > 0 || flushed;
  }

  get isFull(): boolean {
    return this.#out.waitingBytes > waitingBytesMax;
  }

  /** Told at the end of the turn, once for all that was answered in it. */
  tell(
    kind: number,
    slot: number,
    extra: number,
    first: Uint8Array,
    rest: readonly Uint8Array[] = noParts,
  ): void {
    this.#out.put(kind, slot, extra, first, rest);
    if (this.#rings) return;
    this.#rings = true;
    nodeClock.afterTurn(this.#ringNow);
  }

  readonly #ringNow = (): void => {
    this.#rings = false;
    this.#bell.press();
  };

  forget(slot: number): void {
    this.#calls[slot] = undefined;
  }

  onRecord(kind: number, slot: number, extra: number, from: Buffer, start: number, end: number) {
    const payload = this.#assembler.take(kind, slot, from, start, end);
    if (payload === undefined) return;
    const type = kind & kindMask;
    if (type === fromSockets.call || type === fromSockets.stream) {
      this.#begin(kind >> methodShift, slot, extra, payload);
      return;
    }
    if (type === fromSockets.head) {
      this.#heads[slot] = headOf(JSON.parse(payload.toString()) as CallHead);
      return;
    }
    const call = this.#calls[slot];
    if (call === undefined) return;
    switch (type) {
      case fromSockets.message:
        call.receive(payload);
        break;
      case fromSockets.endOfMessages:
        call.finishMessages();
        break;
      case fromSockets.cancel:
        call.cancel();
        break;
      case fromSockets.full:
        call.isFull = true;
        break;
      case fromSockets.drained:
        call.drained();
        break;
    }
  }

  #begin(methodIndex: number, slot: number, headId: number, payload: Buffer): void {
    const method = this.shared.methods[methodIndex];
    const head = this.#heads[headId];
    if (method === undefined || head === undefined) throw new Error('a call of nothing known');
    const [name, handler] = method;
    const call = new RemoteCall(this, name, handler.kind, slot, head);
    this.#calls[slot] = call;
    if (handler.kind === 'bidi') handler.handle(call);
    else handler.handle(payload, call);
  }
}

function headOf({ address, commonName, certificateVerified, metadata }: CallHead): Head {
  const identity = { commonName, certificateVerified };
  return { peer: { address, identity }, metadata: new Map(metadata) };
}

/** A call whose connection is in another thread. */
class RemoteCall implements ServerCall {
  readonly method: string;
  /** The thread with the sockets watches the time, and cancels. */
  readonly deadlineMs = undefined;
  cancelled = false;
  caller: Caller | undefined = undefined;
  counts: MessageCounts | undefined = undefined;
  onCancel: (() => void) | undefined = undefined;
  onDrain: (() => void) | undefined = undefined;
  onMessage: ((message: Buffer) => void) | undefined = undefined;
  onEnd: (() => void) | undefined = undefined;
  /** The connection does not take more. */
  isFull = false;
  readonly #link: SocketsLink;
  readonly #kind: MethodHandler['kind'];
  readonly #slot: number;
  readonly #head: Head;
  readonly #startMs: number;
  #ended = false;
  #held: Buffer[] | undefined = undefined;
  #messagesEnded = false;
  #room: AnswerHold | undefined = undefined;

  constructor(
    link: SocketsLink,
    method: string,
    kind: MethodHandler['kind'],
    slot: number,
    head: Head,
  ) {
    this.method = method;
    this.#link = link;
    this.#kind = kind;
    this.#slot = slot;
    this.#head = head;
    this.#startMs = link.nowMs;
  }

  get peer(): PeerOfCall {
    return this.#head.peer;
  }

  metadata(key: string): string | undefined {
    return this.#head.metadata.get(key);
  }

  binaryMetadata(): Buffer | undefined {
    return undefined;
  }

  get backlogBytes(): number {
    return this.isFull || this.#link.isFull ? waitingBytesMax + 1 : 0;
  }

  get hasRoom(): boolean {
    return this.#link.shared.room.has(this.#link);
  }

  get hasShortRoom(): boolean {
    return this.#link.shared.room.has(this.#link, true);
  }

  whenRoom(run: () => void, heldBytes = 0, isShort = false): void {
    const begin = (): void => {
      if (!this.#ended) run();
    };
    this.#link.shared.room.wait(this.#link, begin, heldBytes, isShort);
  }

  takeRoom(bytes: number): Promise<void> | undefined {
    if (this.#ended) return Promise.reject(new EtcdError('REQUEST_CANCELED'));
    this.#room ??= this.#link.shared.room.hold(this.#link);
    return this.#room.take(bytes);
  }

  settleRoom(): void {
    this.#room?.settle();
  }

  leaveRoom(): void {
    this.#room?.leave();
  }

  reply(message: Uint8Array): void {
    if (this.#ended) return;
    this.#link.tell(fromCore.reply, this.#slot, 0, message);
    this.#finish(GrpcCode.OK);
  }

  replyParts(parts: readonly Uint8Array[]): void {
    if (this.#ended) return;
    this.#link.tell(fromCore.reply, this.#slot, 0, emptyBytes, parts);
    this.#finish(GrpcCode.OK);
  }

  fail(code: GrpcCode, message: string): void {
    if (this.#ended) return;
    this.#link.tell(fromCore.failed, this.#slot, code, Buffer.from(message));
    this.#finish(code);
  }

  send(message: Uint8Array): boolean {
    return this.#send(message, noParts);
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    return this.#send(emptyBytes, parts);
  }

  end(): void {
    if (this.#ended) return;
    this.#link.tell(fromCore.ended, this.#slot, 0, emptyBytes);
    this.#finish(GrpcCode.OK);
  }

  pause(): void {
    if (this.#held !== undefined || this.#ended) return;
    this.#held = [];
    this.#link.tell(fromCore.pause, this.#slot, 0, emptyBytes);
  }

  resume(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    for (const [at, message] of held.entries()) {
      if (this.#held !== undefined) {
        (this.#held as Buffer[]).push(...held.slice(at));
        return;
      }
      this.receive(message);
    }
    if (this.#ended) return;
    this.#link.tell(fromCore.resume, this.#slot, 0, emptyBytes);
    if (this.#messagesEnded) this.onEnd?.();
  }

  // ------------------------------------------------------------------------------ for the link

  receive(message: Buffer): void {
    if (this.#held !== undefined) {
      this.#held.push(Buffer.from(message));
      return;
    }
    if (this.counts !== undefined) this.counts.messagesReceived += 1;
    this.onMessage?.(message);
  }

  finishMessages(): void {
    this.#messagesEnded = true;
    if (this.#held === undefined) this.onEnd?.();
  }

  cancel(): void {
    this.cancelled = true;
    this.#link.tell(fromCore.dropped, this.#slot, 0, emptyBytes);
    this.#finish(GrpcCode.CANCELLED);
    this.onCancel?.();
  }

  drained(): void {
    this.isFull = false;
    if (!this.#ended) this.onDrain?.();
  }

  #send(first: Uint8Array, rest: readonly Uint8Array[]): boolean {
    if (this.#ended) return true;
    if (this.counts !== undefined) this.counts.messagesSent += 1;
    this.#link.tell(fromCore.send, this.#slot, 0, first, rest);
    return !this.isFull && !this.#link.isFull;
  }

  #finish(code: GrpcCode): void {
    this.#ended = true;
    this.#link.forget(this.#slot);
    this.#room?.cancel();
    const durationMs = nodeClock.nowMs() - this.#startMs;
    this.#link.shared.observe(this.method, this.#kind, code, durationMs, this);
  }
}
