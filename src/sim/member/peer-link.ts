/**
 * A link of a simulation: the way of a message from one member to another. Dialling, refusals and
 * backing off are as on sockets (lane.ts), but the two lanes break and come back together.
 */

import { assert, type Clock, type MemberId, type Timer } from '../../common/index.js';
import type { Message } from '../../raft/index.js';
import {
  decodeMessage,
  encodeMessage,
  FrameError,
  isBulk,
  labelOf,
  type PeerAddress,
  type PeerHandler,
  type PeerHello,
  type PeerLink,
  type PeerMethod,
  type PeerMetrics,
  type PeerRefusal,
  type Redial,
  redialMs,
  type SnapshotPiece,
  steadyMs,
  unreachable,
} from '../../server/peers/index.js';
import type { SimEndpoint, SimPeerWire } from './peer-wire.js';

/** A piece of a snapshot, or its end, and by which number it is taken up again. */
export interface SimPiece extends SnapshotPiece {
  readonly feed: number;
  readonly end: boolean;
}

/** The member at the other end of a link, as it takes what is sent to it. */
export interface SimTarget extends SimEndpoint {
  /** Opens a link from `hello`; its messages are taken from now on. */
  greet(hello: PeerHello, to: MemberId, link: SimLink): PeerRefusal | undefined;
  /** Also when its link is down: what is under way still arrives, as on any network. */
  admits(member: MemberId): boolean;
  receive(message: Message, bytes: number): void;
  onDamaged(from: MemberId): void;
  /** What `PeerHandler.call` says; what it rejects with is what would get over a wire. */
  answer(from: MemberId, method: PeerMethod, body: Uint8Array): Promise<Buffer>;
  /** One piece of a snapshot; undefined: not even an answer. */
  servePiece(from: MemberId, feed: number, position: Uint8Array): Promise<SimPiece> | undefined;
}

/** What a link has of the transport that it belongs to. */
export interface SimLinkHost {
  readonly id: MemberId;
  readonly wire: SimPeerWire;
  readonly clock: Clock;
  readonly metrics: PeerMetrics;
  readonly handler: PeerHandler;
  /** Without an answer for so long a link is given up. */
  readonly silenceMs: number;
  hello(): PeerHello;
  /** Who listens at one of `urls`. */
  listenerAt(urls: readonly string[]): SimTarget | undefined;
  unreachable(member: MemberId): void;
  /** The link to the member is down, and nobody listens where it was. */
  nobodyListens(member: MemberId): void;
}

/** Something that fails if the link breaks, or starts when it comes up. */
export interface SimPending {
  up?(target: SimTarget): void;
  down(error: Error): void;
}

export class SimLink implements PeerLink {
  readonly member: MemberId;
  /** Calls under way, and those that wait. */
  readonly pending = new Set<SimPending>();
  upSinceMs: number | undefined;
  target: SimTarget | undefined;
  readonly #host: SimLinkHost;
  #urls: readonly string[];
  #failures = 0;
  /** It has been up with the present URLs. */
  #wasUp = false;
  /** Counts connections and attempts. */
  #generation = 0;
  #timer: Timer | undefined;
  #watch: Timer | undefined;
  /** When the last message of each lane is there, so that none overtakes. */
  #entriesAtMs = 0;
  #controlAtMs = 0;

  constructor(host: SimLinkHost, { id, peerUrls }: PeerAddress) {
    this.member = id;
    this.#host = host;
    this.#urls = peerUrls;
    this.#dial();
  }

  update(urls: readonly string[]): void {
    if (urls.join() === this.#urls.join()) return;
    this.#urls = urls;
    this.#failures = 0;
    this.#wasUp = false;
    this.#hangUp('its URLs changed');
    this.#dial();
  }

  stop(reason: string): void {
    this.#hangUp(reason);
  }

  /** The process is gone: nobody is told, no promise is settled. */
  vanish(): void {
    this.pending.clear();
    this.stop('');
  }

  /** Breaks; dialled again by itself. */
  break(reason: string): void {
    if (this.upSinceMs !== undefined) this.#failed(reason, 'retry');
  }

  /** The other side wants no more of us. */
  onRefused(refusal: Parameters<PeerHandler['refused']>[1]): void {
    this.#failed(`refused: ${refusal}`, 'slow');
    this.#host.handler.refused(this.member, refusal);
  }

  /** False: dropped. */
  send(message: Message): boolean {
    const { wire, metrics, id } = this.#host;
    if (this.upSinceMs === undefined) {
      metrics.sentFailures.inc(labelOf(this.member));
      return false;
    }
    const { counts, random } = wire;
    const faults = wire.faultsOf(id, this.member);
    const frame = encodeMessage(message);
    const bulk = isBulk(message);
    metrics.sentBytes.of(labelOf(this.member)).value += frame.length;
    counts.sent++;
    if (wire.isBlocked(id, this.member)) {
      counts.blocked++;
    } else if (random.float() < faults.lossChance) {
      counts.lost++;
    } else {
      if (random.float() < faults.corruptChance) {
        const at = random.u32() % frame.length;
        frame[at] = (frame[at] as number) ^ (1 << (random.u32() & 7));
        counts.corrupted++;
      }
      this.#deliver(frame, bulk);
      // A repeated proposal is another proposal, and no connection repeats (raft/types.ts).
      const mayRepeat = message.type !== 'ForwardProposal';
      if (mayRepeat && random.float() < faults.duplicateChance) {
        counts.duplicated++;
        this.#deliver(frame, bulk);
      }
    }
    return true;
  }

  #deliver(frame: Buffer, bulk: boolean): void {
    const { wire, id } = this.#host;
    const { target, member } = this;
    if (target === undefined) return;
    const { reorderChance, reorderMsMax } = wire.faultsOf(id, member);
    let atMs = wire.clock.nowMs() + wire.delayMs(id, member);
    if (wire.random.float() < reorderChance) {
      wire.counts.reordered++;
      atMs += wire.random.float() * reorderMsMax;
    } else if (bulk) {
      atMs = Math.max(atMs, this.#entriesAtMs);
      this.#entriesAtMs = atMs;
    } else {
      atMs = Math.max(atMs, this.#controlAtMs);
      this.#controlAtMs = atMs;
    }
    // On the clock of the receiver: it may be frozen meanwhile, or dead.
    target.clock.after(Math.max(0, atMs - wire.clock.nowMs()), () => {
      if (!target.running || wire.isBlocked(id, member) || !target.admits(id)) return;
      wire.counts.delivered++;
      try {
        target.receive(decodeMessage(frame, id, member), frame.length);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        target.onDamaged(id);
        this.break('damaged frame');
      }
    });
  }

  #dial(): void {
    assert(this.target === undefined, 'a link that is up dials');
    const { wire, clock, id } = this.#host;
    const generation = ++this.#generation;
    this.#timer = clock.after(2 * wire.delayMs(id, this.member), () => {
      if (generation === this.#generation) this.#greet();
    });
  }

  #greet(): void {
    const { wire, clock, id, handler, silenceMs } = this.#host;
    if (this.#cutOff()) {
      // Packets that get lost: the time limit decides.
      const generation = this.#generation;
      this.#timer = clock.after(silenceMs, () => {
        if (generation === this.#generation) this.#failed('connect timeout', 'retry');
      });
      return;
    }
    const isRefused = wire.isRefused(id, this.member);
    const target = isRefused ? undefined : this.#host.listenerAt(this.#urls);
    if (target === undefined) {
      this.#failed('connection refused', 'retry');
      if (this.#wasUp) this.#host.nobodyListens(this.member);
      return;
    }
    const refusal = target.greet(this.#host.hello(), this.member, this);
    if (refusal !== undefined) {
      this.onRefused(refusal);
      return;
    }
    const theirs = target.hello();
    const doubt = theirs.memberId !== this.member ? 'notForThisMember' : handler.admit(theirs, id);
    if (doubt !== undefined) {
      this.#failed(`who answered is not the member that we know: ${doubt}`, 'slow');
      return;
    }
    assert(this.target === undefined && this.upSinceMs === undefined, 'a link comes up twice');
    this.target = target;
    this.upSinceMs = clock.nowMs();
    this.#wasUp = true;
    this.#entriesAtMs = wire.clock.nowMs();
    this.#controlAtMs = this.#entriesAtMs;
    this.#host.metrics.active.of(labelOf(id), labelOf(this.member)).value = 1;
    this.#watchSilence(undefined);
    for (const pending of [...this.pending]) pending.up?.(target);
  }

  #cutOff(): boolean {
    const { wire, id } = this.#host;
    return wire.isSilent(id, this.member);
  }

  /** Half the time of silence apart: as with pings, a block is noticed after one to two of them. */
  #watchSilence(cutOffSinceMs: number | undefined): void {
    const { clock, silenceMs } = this.#host;
    this.#watch = clock.after(silenceMs / 2, () => {
      const nowMs = clock.nowMs();
      if (!this.#cutOff()) {
        // What ended while nothing got through is told to the next who asks.
        if (this.target?.running === true) this.#watchSilence(undefined);
        else this.#failed('connection reset by peer', 'retry');
      } else if (nowMs - (cutOffSinceMs ?? nowMs) < silenceMs / 2) {
        this.#watchSilence(cutOffSinceMs ?? nowMs);
      } else this.#failed('keepalive ping was not answered', 'retry');
    });
  }

  #failed(reason: string, how: Redial): void {
    const { clock, wire } = this.#host;
    const wasUp = this.upSinceMs !== undefined;
    const upMs = clock.nowMs() - (this.upSinceMs ?? clock.nowMs());
    this.#failures = upMs > steadyMs ? 0 : this.#failures + 1;
    this.#hangUp(reason);
    const pauseMs = redialMs(how, this.#failures, wire.random);
    this.#timer = clock.after(pauseMs, () => this.#dial());
    if (!wasUp) this.#failPending(reason);
  }

  #hangUp(reason: string): void {
    this.#generation++;
    this.#timer?.cancel();
    this.#watch?.cancel();
    if (this.upSinceMs === undefined) return;
    assert(this.target !== undefined, 'a link is up, and nobody is at its other end');
    const { metrics, id } = this.#host;
    const labels = [labelOf(id), labelOf(this.member)] as const;
    this.target = undefined;
    this.upSinceMs = undefined;
    metrics.active.of(...labels).value = 0;
    metrics.disconnected.inc(...labels);
    this.#failPending(reason);
    this.#host.unreachable(this.member);
  }

  #failPending(reason: string): void {
    const error = unreachable(this.member, reason);
    for (const pending of [...this.pending]) pending.down(error);
  }
}
