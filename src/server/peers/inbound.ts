/**
 * The listening half: who calls is asked for its name first, and what it sends is checked before
 * Raft sees it. Whatever is wrong ends that stream, is counted and logged, and nothing else.
 */

import { GrpcCode, type MemberId } from '../../common/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import { decodeMessage } from './codec.js';
import { FrameError } from './frame.js';
import { failCall, onlyMembers, readIntroduction, refuse } from './handshake.js';
import { type LaneName, laneNames, lanePath } from './lane.js';
import { callPath } from './link.js';
import { decodePing, encodePing, encodeWelcome, kindPing, kindPong } from './link-frames.js';
import { labelOf, type PeerContext } from './peer-context.js';
import type { PeerHello, PeerMethod } from './types.js';

const methods = [
  'cluster',
  'memberChange',
  'leaseRenew',
  'leaseTimeToLive',
  'hashKv',
] as const satisfies readonly PeerMethod[];

/** A pinger that does not read gets no more answers above this. */
const pongBacklogBytesMax = 64 * 1024;

const warnPauseMs = 60_000;
const warnKeysMax = 1000;

/** A stream that was admitted. */
interface InboundLane {
  readonly hello: PeerHello;
  readonly to: MemberId;
  readonly call: ServerCall;
}

export class Inbound {
  readonly #context: PeerContext;
  /** By member and lane: a member that dials again has given up what it had before. */
  readonly #lanes = new Map<string, InboundLane>();
  /** When each thing was last said aloud. */
  readonly #warnedMs = new Map<string, number>();

  constructor(context: PeerContext) {
    this.#context = context;
  }

  methods(): Array<readonly [string, MethodHandler]> {
    const lane = (name: LaneName): readonly [string, MethodHandler] => [
      lanePath(name),
      { kind: 'bidi', handle: (call) => this.#openLane(name, call) },
    ];
    const call = (method: PeerMethod): readonly [string, MethodHandler] => [
      callPath(method),
      { kind: 'unary', handle: (request, served) => this.#answer(method, request, served) },
    ];
    return [...laneNames.map(lane), ...methods.map(call)];
  }

  /** The member has a lane to us that is open. */
  hasLaneOf(member: MemberId): boolean {
    return laneNames.some((name) => this.#lanes.has(laneKey(member, name)));
  }

  /** The members changed: those that are no longer admitted learn of it at once. */
  recheck(): void {
    for (const [key, { hello, to, call }] of [...this.#lanes]) {
      const refusal = this.#context.handler.admit(hello, to);
      if (refusal === undefined) continue;
      this.#lanes.delete(key);
      refuse(call, refusal);
    }
  }

  /**
   * Who calls, if it may; undefined: it was answered already. `nobody` is one that is no member.
   */
  introduced(
    call: ServerCall,
  ): { readonly hello: PeerHello; readonly to: MemberId } | 'nobody' | undefined {
    const { handler, metrics } = this.#context;
    const introduction = readIntroduction(call);
    const { address } = call.peer;
    if (introduction === undefined) {
      metrics.receivedFailures.inc(unknownMember);
      this.#warn(unknownMember, 'somebody at the peer port did not introduce itself', { address });
      call.fail(GrpcCode.INVALID_ARGUMENT, 'not introduced as a member');
      return undefined;
    }
    if (introduction === 'nobody') return introduction;
    const refusal =
      typeof introduction === 'string'
        ? introduction
        : handler.admit(introduction.hello, introduction.to);
    if (typeof introduction !== 'string' && refusal === undefined) {
      handler.met(introduction.hello);
      return introduction;
    }
    if (refusal === undefined) return undefined;
    const from = typeof introduction === 'string' ? '' : labelOf(introduction.hello.memberId);
    metrics.refused.inc(refusal);
    const fields = { address, member: from, reason: refusal };
    this.#warn(`${from} ${refusal}`, 'refused a member', fields);
    refuse(call, refusal);
    return undefined;
  }

  #openLane(name: LaneName, call: ServerCall): void {
    const who = this.introduced(call);
    if (who === undefined) return;
    if (who === 'nobody') {
      call.fail(GrpcCode.INVALID_ARGUMENT, 'not introduced as a member');
      return;
    }
    const { hello, to } = who;
    const { handler, metrics } = this.#context;
    const from = hello.memberId;
    const own = this.#context.hello();
    const received = metrics.receivedBytes.of(labelOf(from));
    const key = laneKey(from, name);
    const lane: InboundLane = { hello, to, call };
    this.#lanes.get(key)?.call.fail(GrpcCode.ABORTED, 'the member opened another link');
    this.#lanes.set(key, lane);
    call.onMessage = (frame) => {
      try {
        if (frame[5] === kindPing) {
          const sequence = decodePing(kindPing, frame);
          if (call.backlogBytes <= pongBacklogBytesMax) call.send(encodePing(kindPong, sequence));
          return;
        }
        const message = decodeMessage(frame, from, own.memberId);
        received.value += frame.length;
        handler.message(message);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        this.#damaged(name, call, from, error);
        gone();
      }
    };
    const gone = (): void => {
      if (this.#lanes.get(key) === lane) this.#lanes.delete(key);
    };
    call.onCancel = gone;
    call.onEnd = () => {
      gone();
      call.end();
    };
    call.send(encodeWelcome(own));
  }

  /** Whoever is refused tries again for ever: the log is told once a minute. */
  #warn(key: string, text: string, fields: Readonly<Record<string, unknown>>): void {
    const { clock, logger } = this.#context;
    const nowMs = clock.nowMs();
    if (nowMs - (this.#warnedMs.get(key) ?? Number.NEGATIVE_INFINITY) < warnPauseMs) {
      logger.debug(text, fields);
      return;
    }
    if (this.#warnedMs.size >= warnKeysMax) this.#warnedMs.clear();
    this.#warnedMs.set(key, nowMs);
    logger.warn(text, fields);
  }

  #damaged(name: LaneName, call: ServerCall, from: MemberId, error: FrameError): void {
    const { metrics, logger } = this.#context;
    const member = labelOf(from);
    metrics.receivedFailures.inc(member);
    const fields = { member, lane: name, address: call.peer.address, reason: error.message };
    logger.error('a message between members is damaged, closing the link', fields);
    call.fail(GrpcCode.DATA_LOSS, `damaged frame: ${error.message}`);
  }

  #answer(method: PeerMethod, request: Buffer, call: ServerCall): void {
    const who = this.introduced(call);
    if (who === undefined) return;
    if (who === 'nobody' && method !== 'cluster') {
      call.fail(GrpcCode.PERMISSION_DENIED, onlyMembers);
      return;
    }
    const { handler, logger } = this.#context;
    const from = who === 'nobody' ? 0n : who.hello.memberId;
    handler.call(from, method, Buffer.from(request)).then(
      (reply) => call.reply(reply),
      (error: unknown) => {
        failCall(call, error);
        const fields = { member: labelOf(from), method, error: String(error) };
        logger.debug('a call of a member failed', fields);
      },
    );
  }
}

function laneKey(member: MemberId, name: LaneName): string {
  return `${member} ${name}`;
}

/** Label of whoever did not say who it is. */
const unknownMember = 'unknown';
