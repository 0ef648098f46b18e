/** A server call without a transport, for tests of rpc handlers. */

import type { GrpcCode } from '../../src/common/index.js';
import type { ServerCall } from '../../src/transport/index.js';

/** How a call ended: `end`, a code and a text, or not yet. */
export type CallEnd = 'open' | 'ended' | { readonly code: GrpcCode; readonly text: string };

export class FakeCall implements ServerCall {
  readonly method = '/test/Test';
  readonly peer = {
    address: 'test',
    identity: { commonName: '', certificateVerified: false },
  };
  readonly deadlineMs = undefined;
  cancelled = false;
  onCancel: (() => void) | undefined;
  onDrain: (() => void) | undefined;
  onMessage: ((message: Buffer) => void) | undefined;
  onEnd: (() => void) | undefined;
  backlogBytes = 0;
  readonly hasRoom = true;
  paused = false;
  stuck = false;
  ended: CallEnd = 'open';
  readonly sent: Buffer[] = [];
  readonly #metadata: Readonly<Record<string, string>>;

  constructor(metadata: Readonly<Record<string, string>> = {}) {
    this.#metadata = metadata;
  }

  readonly hasShortRoom = true;
  whenRoom(run: () => void): void {
    run();
  }
  takeRoom(): undefined {}
  settleRoom(): void {}
  leaveRoom(): void {}
  metadata(key: string): string | undefined {
    return this.#metadata[key];
  }
  binaryMetadata(): Buffer | undefined {
    return undefined;
  }
  reply(message: Uint8Array): void {
    this.sendParts([message]);
    this.end();
  }
  replyParts(parts: readonly Uint8Array[]): void {
    this.sendParts(parts);
    this.end();
  }
  fail(code: GrpcCode, text: string): void {
    if (this.ended === 'open') this.ended = { code, text };
  }
  send(message: Uint8Array): boolean {
    return this.sendParts([message]);
  }
  sendParts(parts: readonly Uint8Array[]): boolean {
    const bytes = Buffer.concat(parts);
    if (this.ended === 'open') this.sent.push(bytes);
    if (!this.stuck) return true;
    this.backlogBytes += bytes.length;
    return false;
  }
  end(): void {
    if (this.ended === 'open') this.ended = 'ended';
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  drain(): void {
    this.stuck = false;
    this.backlogBytes = 0;
    this.onDrain?.();
  }
  cancel(): void {
    this.cancelled = true;
    this.onCancel?.();
  }
}

/** A leader that a test takes away. */
export class FakeGate {
  present = true;
  readonly listeners = new Set<() => void>();

  hasLeader(): boolean {
    return this.present;
  }
  onLeaderLost(lost: () => void): () => void {
    this.listeners.add(lost);
    return () => this.listeners.delete(lost);
  }
  lose(): void {
    this.present = false;
    for (const lost of [...this.listeners]) lost();
  }
}
