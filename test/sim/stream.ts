/** A bidirectional call of a simulated member, without a network in between. */

import type { GrpcCode } from '../../src/common/index.js';
import type { MethodHandler, ServerCall } from '../../src/transport/index.js';

const nobody = { commonName: '', certificateVerified: false };

/** The client's end of a bidirectional call. */
export class SimStream {
  readonly #call: StreamCall;
  readonly #handler: MethodHandler;

  constructor(
    handler: MethodHandler | undefined,
    onMessage: (message: Buffer) => void,
    onEnd: (text: string) => void,
    /** Of who calls. */
    token?: string,
  ) {
    if (handler === undefined || handler.kind !== 'bidi') throw new Error('no such stream');
    this.#handler = handler;
    this.#call = new StreamCall(onMessage, onEnd, token);
  }

  open(): void {
    if (this.#handler.kind === 'bidi') this.#handler.handle(this.#call);
  }

  send(bytes: Buffer): void {
    this.#call.onMessage?.(bytes);
  }

  cancel(): void {
    this.#call.cancel();
  }

  /** The client does not read: what is sent piles up. */
  stick(): void {
    this.#call.stuck = true;
  }

  unstick(): void {
    this.#call.unstick();
  }
}

/** More unread bytes than this, and the stream is full. */
const highWaterBytes = 2048;

class StreamCall implements ServerCall {
  readonly method = 'stream';
  readonly peer = { address: 'in-process', identity: nobody };
  readonly deadlineMs = undefined;
  cancelled = false;
  onCancel: (() => void) | undefined;
  onDrain: (() => void) | undefined;
  onMessage: ((message: Buffer) => void) | undefined;
  onEnd: (() => void) | undefined;
  backlogBytes = 0;
  readonly hasRoom = true;
  stuck = false;
  #mustTell = false;
  #ended = false;
  #unread: Buffer[] = [];
  readonly #receive: (message: Buffer) => void;
  readonly #finish: (text: string) => void;
  readonly #token: string | undefined;

  constructor(
    receive: (message: Buffer) => void,
    finish: (text: string) => void,
    token: string | undefined,
  ) {
    this.#receive = receive;
    this.#finish = finish;
    this.#token = token;
  }

  metadata(key: string): string | undefined {
    return key === 'token' ? this.#token : undefined;
  }
  binaryMetadata(): Buffer | undefined {
    return undefined;
  }
  reply(message: Uint8Array): void {
    this.sendParts([message]);
  }
  replyParts(parts: readonly Uint8Array[]): void {
    this.sendParts(parts);
  }
  fail(code: GrpcCode, text: string): void {
    this.#close(`${code} ${text}`);
  }
  send(message: Uint8Array): boolean {
    return this.sendParts([message]);
  }
  sendParts(parts: readonly Uint8Array[]): boolean {
    if (this.#ended) return true;
    const message = Buffer.concat(parts);
    if (!this.stuck) {
      this.#receive(message);
      return true;
    }
    this.#unread.push(message);
    this.backlogBytes += message.length;
    if (this.backlogBytes > highWaterBytes) this.#mustTell = true;
    return !this.#mustTell;
  }
  end(): void {
    this.#close('ended');
  }
  readonly hasShortRoom = true;
  whenRoom(run: () => void): void {
    run();
  }
  takeRoom(): undefined {}
  settleRoom(): void {}
  leaveRoom(): void {}
  pause(): void {}
  resume(): void {}

  unstick(): void {
    this.stuck = false;
    const unread = this.#unread;
    this.#unread = [];
    this.backlogBytes = 0;
    for (const message of unread) if (!this.#ended) this.#receive(message);
    if (!this.#mustTell) return;
    this.#mustTell = false;
    this.onDrain?.();
  }

  cancel(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.cancelled = true;
    this.onCancel?.();
  }

  #close(text: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#finish(text);
  }
}
