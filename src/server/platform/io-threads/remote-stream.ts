/** A socket in another thread, as the core sees it. */

import {
  type ByteStream,
  type ByteStreamHandler,
  ioStreamHighWaterBytes,
  ioTellBytesMin,
  type PeerIdentity,
} from '../../../common/index.js';
import { type CloseFacts, fromCore, type StreamFacts } from './records.js';

/** How the core speaks to the thread with the socket. */
export interface StreamTeller {
  tell(kind: number, slot: number, payload?: Uint8Array): void;
  tellTaken(slot: number, bytes: number): void;
  tellParts(kind: number, slot: number, parts: readonly Uint8Array[]): void;
}

/** See {@link ByteStream}. */
export class RemoteStream implements ByteStream {
  readonly remoteAddress: string;
  readonly alpnProtocol: string;
  readonly identity: PeerIdentity;
  readonly #teller: StreamTeller;
  readonly #slot: number;
  #handler: ByteStreamHandler | undefined;
  #backlogBytes = 0;
  #isOverHighWater = false;
  #corks = 0;
  #corked: Uint8Array[] = [];
  #isPaused = false;
  /** Handled, and not told of yet. */
  #takenBytes = 0;
  /** What was on its way when the stream was paused: at most `ioStreamWindowBytes` and a chunk. */
  #held: Buffer[] = [];
  #hasEnded = false;
  #endsSaid = false;
  #isEnding = false;
  #isDestroyed = false;
  #error: Error | undefined;

  constructor(teller: StreamTeller, slot: number, facts: StreamFacts) {
    const { alpnProtocol, certificateVerified, commonName, remoteAddress } = facts;
    this.#teller = teller;
    this.#slot = slot;
    this.remoteAddress = remoteAddress;
    this.alpnProtocol = alpnProtocol;
    this.identity = { commonName, certificateVerified };
  }

  setHandler(handler: ByteStreamHandler): void {
    this.#handler = handler;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isDestroyed || this.#isEnding) return true;
    this.#backlogBytes += chunk.length;
    if (this.#corks > 0) this.#corked.push(chunk);
    else if (chunk.length > 0) this.#teller.tell(fromCore.data, this.#slot, chunk);
    if (this.#backlogBytes <= ioStreamHighWaterBytes) return true;
    this.#isOverHighWater = true;
    return false;
  }

  cork(): void {
    this.#corks += 1;
  }

  uncork(): void {
    if (this.#corks > 0) this.#corks -= 1;
    if (this.#corks > 0 || this.#corked.length === 0) return;
    const parts = this.#corked;
    this.#corked = [];
    if (!this.#isDestroyed) this.#teller.tellParts(fromCore.data, this.#slot, parts);
  }

  /** Up to some 300 KB behind: the thread tells of what has left in pieces, or when all has. */
  backlogBytes(): number {
    return this.#backlogBytes;
  }

  pause(): void {
    if (this.#isPaused || this.#isDestroyed) return;
    this.#isPaused = true;
    this.#teller.tell(fromCore.pause, this.#slot);
  }

  resume(): void {
    if (!this.#isPaused || this.#isDestroyed) return;
    this.#isPaused = false;
    // As a socket of Node: not from within the call.
    queueMicrotask(() => this.#release());
    this.#teller.tell(fromCore.resume, this.#slot);
  }

  end(): void {
    if (this.#isEnding || this.#isDestroyed) return;
    while (this.#corks > 0) this.uncork();
    this.#isEnding = true;
    this.#teller.tell(fromCore.end, this.#slot);
  }

  destroy(error?: Error): void {
    if (this.#isDestroyed) return;
    this.#error = error;
    this.#isDestroyed = true;
    this.#held = [];
    this.#corked = [];
    this.#teller.tell(fromCore.destroy, this.#slot);
  }

  // ---------------------------------------------------------------------------- for the link

  /** `chunk` is its own. */
  received(chunk: Buffer): void {
    if (this.#isDestroyed) return;
    if (this.#isPaused || this.#held.length > 0) this.#held.push(chunk);
    else this.#take(chunk);
  }

  ended(): void {
    this.#hasEnded = true;
    this.#release();
  }

  sent(bytes: number): void {
    this.#backlogBytes -= bytes;
    if (!this.#isOverHighWater || this.#backlogBytes > ioStreamHighWaterBytes) return;
    this.#isOverHighWater = false;
    if (!this.#isDestroyed) this.#handler?.onDrain();
  }

  /** The last of it. */
  closed(facts: CloseFacts | undefined): void {
    // What came before an orderly end is handed on, paused or not: nothing else comes any more.
    const isLost = this.#isDestroyed || facts !== undefined;
    if (!isLost) {
      this.#isPaused = false;
      this.#release();
    }
    this.#isDestroyed = true;
    this.#held = [];
    this.#handler?.onClose(this.#error ?? errorOf(facts));
  }

  #take(chunk: Buffer): void {
    this.#takenBytes += chunk.length;
    if (this.#takenBytes >= ioTellBytesMin) {
      this.#teller.tellTaken(this.#slot, this.#takenBytes);
      this.#takenBytes = 0;
    }
    this.#handler?.onData(chunk);
  }

  #release(): void {
    while (!this.#isPaused && !this.#isDestroyed) {
      const chunk = this.#held.shift();
      if (chunk === undefined) break;
      this.#take(chunk);
    }
    const isAll = this.#hasEnded && this.#held.length === 0;
    if (!isAll || this.#endsSaid || this.#isPaused || this.#isDestroyed) return;
    this.#endsSaid = true;
    this.#handler?.onEnd();
  }
}

function errorOf(facts: CloseFacts | undefined): Error | undefined {
  if (facts === undefined) return undefined;
  const { code, message } = facts;
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
