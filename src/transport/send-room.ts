/**
 * How much a server may hold of answers: of those that have not left, and of those that are being
 * made. What is made can't be unmade, so whoever makes an answer asks before: calls wait, those of
 * each connection in order, the connections in turns. Somebody who reads next to nothing while
 * others wait for all of them is disconnected.
 *
 * An answer whose size is not known takes room as it finds out ({@link AnswerHold}), and waits
 * while it holds some. That nobody waits for ever, and that the bound holds all the same, follows
 * from how the sixteen parts of it are given out:
 *
 *     7  to all who ask, one after the other
 *     8  beyond these, to the one that has been making its answer for longest, which so can finish;
 *        hence an answer may have 8 at the most
 *     1  to answers that are short, which wait for no long one; half of it for those that are made
 *        at once and are only unsent
 */

import { assert, type Clock, EtcdError, sliceMsMax, type Timer } from '../common/index.js';
import { FairLanes, type Verdict } from './fair-lanes.js';
import {
  answersWaitingBytesMax,
  answersWaitingMax,
  roomRunsMax,
  shortAnswerBytes,
  stalledReaderBytes,
} from './limits.js';
import type { TransportLimits } from './types.js';

/** The sending half of a connection. */
export interface RoomUser {
  /** Bytes that wait in queues of its streams. */
  readonly queuedBytes: number;
  /** Bytes that have left those queues, ever: tells whether its reader gets on. */
  readonly dequeuedBytes: number;
  /** Its reader got next to nothing for so long that it has to go. */
  onStalled(): void;
}

/** Counted for metrics. */
export interface RoomCounts {
  /** Calls that had to wait. */
  answersWaited: number;
  /** Calls that were refused: too many waited, or the answer would have been too large. */
  answersRefused: number;
}

export type RoomLimits = Pick<
  TransportLimits,
  'connectionBacklogBytesMax' | 'serverBacklogBytesMax' | 'stalledReaderMs'
>;

/** One that waits. */
interface Waiter {
  readonly user: RoomUser;
  /** Undefined: for an answer of unknown size that is made in one go. */
  readonly hold: AnswerHold | undefined;
  readonly bytes: number;
  /** What its request holds meanwhile. */
  readonly heldBytes: number;
  readonly run: () => void;
}

/** What a caller that waits can do about it. */
export interface Waiting {
  cancel(): void;
}

const sixteenths = 16;
const sharedParts = 7;
const answerParts = 8;
const largeParts = sharedParts + answerParts;
const shortParts = 0.5;

/** The room of one process: of all its servers for clients. */
export class SendRoom {
  readonly #clock: Clock;
  readonly #limits: RoomLimits;
  readonly #counts: RoomCounts;
  readonly #part: number;
  readonly #shortMax: number;
  /** Unsent. */
  #queuedBytes = 0;
  /** Held by answers in the making: short ones, and the others. */
  #shortBytes = 0;
  #largeBytes = 0;
  /** Those with bytes in their queues. */
  readonly #holders = new Set<RoomUser>();
  /** Answers in the making, by age. */
  readonly #making = new Set<AnswerHold>();
  readonly #large = new FairLanes<RoomUser, Waiter>();
  readonly #short = new FairLanes<RoomUser, Waiter>();
  /** Those that hold something and need more. */
  readonly #growing = new Set<Waiter>();
  /** Of the requests of all that wait. */
  #waitingBytes = 0;
  #scheduled = false;
  #stallTimer: Timer | undefined;
  /** What each holder had queued and had sent at the last look. */
  #seen = new Map<RoomUser, readonly [queuedBytes: number, dequeuedBytes: number]>();
  /** The oldest answer that could not grow then. */
  #seenStuck: Waiter | undefined;

  constructor(
    clock: Clock,
    limits: RoomLimits,
    counts: RoomCounts = { answersWaited: 0, answersRefused: 0 },
  ) {
    this.#clock = clock;
    this.#limits = limits;
    this.#counts = counts;
    this.#part = limits.serverBacklogBytesMax / sixteenths;
    // Whatever is short has to fit in what the short ones have.
    this.#shortMax = Math.min(shortAnswerBytes, shortParts * this.#part);
  }

  /** Bytes of answers, unsent or in the making. */
  get bytes(): number {
    return this.#queuedBytes + this.#largeBytes + this.#shortBytes;
  }

  /** Number of calls that wait. */
  get waiting(): number {
    return this.#large.size + this.#short.size + this.#growing.size;
  }

  /**
   * Whether an answer of unknown size may be made for this connection, in one go. `isShort`: of one
   * key, say.
   */
  has(user: RoomUser, isShort = false): boolean {
    if (user.queuedBytes > this.#limits.connectionBacklogBytesMax) return false;
    if (isShort) return this.#long <= (largeParts + shortParts) * this.#part;
    return this.#large.size === 0 && this.#long <= largeParts * this.#part;
  }

  /** What `user` has queued has changed by so much, in its own count already. */
  add(user: RoomUser, bytes: number): void {
    this.#queuedBytes += bytes;
    if (user.queuedBytes === 0) this.#holders.delete(user);
    else if (bytes > 0) this.#holders.add(user);
    assert(this.#queuedBytes >= 0, 'no more leaves than was queued');
    assert(this.#holders.size > 0 || this.#queuedBytes === 0, "what is unsent is somebody's");
    if (bytes < 0 && this.waiting > 0) this.#schedule();
  }

  /**
   * Calls `run` once `has`; never, if the connection is forgotten before. Undefined: too many wait.
   * `heldBytes`: what the waiting request holds.
   */
  wait(user: RoomUser, run: () => void, heldBytes = 0, isShort = false): Waiting | undefined {
    const waiter = { user, hold: undefined, bytes: 0, heldBytes, run };
    if (!this.#admits(heldBytes)) return undefined;
    return this.#enqueue(waiter, isShort ? this.#short : this.#large);
  }

  /** For an answer that is going to be made for this connection. */
  hold(user: RoomUser): AnswerHold {
    return new AnswerHold(this, user);
  }

  /** The connection is closed: nobody on it waits any more. */
  forget(user: RoomUser): void {
    for (const lanes of [this.#large, this.#short]) {
      for (const waiter of lanes.of(user)) this.#leave(lanes, waiter);
    }
  }

  /**
   * @internal For {@link AnswerHold}: takes so much at once, or waits and then calls `run`.
   * Undefined: it was taken.
   */
  take(hold: AnswerHold, bytes: number, run: () => void): Waiting | undefined {
    if (hold.bytes + bytes > answerParts * this.#part) {
      this.#counts.answersRefused += 1;
      throw new EtcdError('ANSWER_TOO_LARGE');
    }
    const waiter = { user: hold.user, hold, bytes, heldBytes: 0, run };
    if (hold.bytes > 0) {
      if (this.#mayGrow(waiter)) {
        this.#grant(waiter);
        return undefined;
      }
      return this.#enqueueGrowing(waiter);
    }
    const lanes = bytes <= this.#shortMax ? this.#short : this.#large;
    if (lanes.size === 0 && this.#judge(waiter) === 'go') {
      this.#grant(waiter);
      return undefined;
    }
    if (!this.#admits(0)) throw new EtcdError('TOO_MANY_REQUESTS');
    return this.#enqueue(waiter, lanes);
  }

  /** @internal It takes no more, and so keeps nobody from becoming the oldest. */
  settled(hold: AnswerHold): void {
    if (this.#making.delete(hold)) this.#scheduleIfNeeded();
  }

  /** @internal All that it has taken is given back. */
  gone(hold: AnswerHold): void {
    this.#making.delete(hold);
    this.#shortBytes -= hold.shortBytes;
    this.#largeBytes -= hold.largeBytes;
    assert(this.#shortBytes >= 0 && this.#largeBytes >= 0, 'no more is given back than taken');
    this.#scheduleIfNeeded();
  }

  /** Whatever is not short. */
  get #long(): number {
    return this.#queuedBytes + this.#largeBytes;
  }

  /** False, and counted: too many wait. */
  #admits(heldBytes: number): boolean {
    const isFull =
      this.waiting >= answersWaitingMax || this.#waitingBytes + heldBytes > answersWaitingBytesMax;
    if (isFull) this.#counts.answersRefused += 1;
    return !isFull;
  }

  #enqueue(waiter: Waiter, lanes: FairLanes<RoomUser, Waiter>): Waiting {
    lanes.add(waiter.user, waiter);
    this.#waitingBytes += waiter.heldBytes;
    this.#waits();
    return {
      cancel: () => this.#leave(lanes, waiter),
    };
  }

  #enqueueGrowing(waiter: Waiter): Waiting {
    this.#growing.add(waiter);
    this.#waits();
    return {
      cancel: () => {
        if (this.#growing.delete(waiter)) this.#scheduleIfNeeded();
      },
    };
  }

  #waits(): void {
    this.#counts.answersWaited += 1;
    this.#schedule();
    this.#watchStalls();
  }

  #leave(lanes: FairLanes<RoomUser, Waiter>, waiter: Waiter): void {
    if (!lanes.delete(waiter.user, waiter)) return;
    this.#waitingBytes -= waiter.heldBytes;
    this.#scheduleIfNeeded();
  }

  /** Whether one that begins may. */
  readonly #judge = (waiter: Waiter): Verdict => {
    const { bytes, hold, user } = waiter;
    const { connectionBacklogBytesMax } = this.#limits;
    if (user.queuedBytes > connectionBacklogBytesMax) return 'pass';
    if (hold === undefined) return this.#long <= largeParts * this.#part ? 'go' : 'stop';
    if (bytes <= this.#shortMax) {
      return this.#shortBytes + bytes <= shortParts * this.#part ? 'go' : 'stop';
    }
    // Those that have begun go first.
    if (this.#growing.size > 0) return 'stop';
    const parts = this.#making.size === 0 ? largeParts : sharedParts;
    return this.#long + bytes <= parts * this.#part ? 'go' : 'stop';
  };

  readonly #judgeShort = (waiter: Waiter): Verdict => {
    if (waiter.hold !== undefined) return this.#judge(waiter);
    if (waiter.user.queuedBytes > this.#limits.connectionBacklogBytesMax) return 'pass';
    return this.has(waiter.user, true) ? 'go' : 'stop';
  };

  #mayGrow({ bytes, hold }: Waiter): boolean {
    const [oldest] = this.#making;
    const parts = hold === oldest ? largeParts : sharedParts;
    return this.#long + bytes <= parts * this.#part;
  }

  #grant({ bytes, hold }: Waiter): void {
    if (hold === undefined) return;
    if (hold.bytes === 0) this.#making.add(hold);
    if (hold.bytes === 0 && bytes <= this.#shortMax) {
      hold.shortBytes += bytes;
      this.#shortBytes += bytes;
    } else {
      hold.largeBytes += bytes;
      this.#largeBytes += bytes;
    }
    assert(hold.bytes <= answerParts * this.#part, 'no answer has more than its part');
    assert(this.#largeBytes <= largeParts * this.#part, 'what is made has its bound');
    assert(this.#shortBytes <= shortParts * this.#part, 'what is short has its bound');
  }

  #scheduleIfNeeded(): void {
    if (this.waiting > 0) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.afterTurn(() => {
      this.#scheduled = false;
      this.#serve();
    });
  }

  #serve(): void {
    for (const waiter of [...this.#growing]) {
      if (!this.#mayGrow(waiter)) continue;
      this.#growing.delete(waiter);
      this.#grant(waiter);
      waiter.run();
    }
    const untilMs = this.#clock.nowMs() + sliceMsMax;
    const isSpent =
      this.#serveLanes(this.#short, this.#judgeShort, untilMs) ||
      this.#serveLanes(this.#large, this.#judge, untilMs);
    // Else it goes on when something has left.
    if (isSpent) this.#schedule();
  }

  /** True: there may be more that could go ahead, but not in this turn. */
  #serveLanes(
    lanes: FairLanes<RoomUser, Waiter>,
    judge: (waiter: Waiter) => Verdict,
    untilMs: number,
  ): boolean {
    for (let runs = 0; lanes.size > 0; runs++) {
      if (runs === roomRunsMax || (runs > 0 && this.#clock.nowMs() >= untilMs)) return true;
      const waiter = lanes.next(judge);
      if (waiter === undefined) return false;
      this.#waitingBytes -= waiter.heldBytes;
      this.#grant(waiter);
      waiter.run();
    }
    return false;
  }

  #watchStalls(): void {
    if (this.#stallTimer !== undefined) return;
    this.#look();
    this.#stallTimer = this.#clock.after(this.#limits.stalledReaderMs, () => {
      this.#stallTimer = undefined;
      if (this.waiting === 0) return;
      this.#endStalled();
      this.#watchStalls();
    });
  }

  #look(): void {
    this.#seen = new Map();
    for (const user of this.#holders) {
      this.#seen.set(user, [user.queuedBytes, user.dequeuedBytes]);
    }
    [this.#seenStuck] = this.#growing;
  }

  /** Those who hold most go first, and no more of them than it takes. */
  #endStalled(): void {
    const stalled = [...this.#holders].filter((user) => {
      const [queuedBytes, dequeuedBytes] = this.#seen.get(user) ?? [0, 0];
      if (queuedBytes === 0) return false;
      // A byte now and then is no progress.
      const enough = Math.max(1, Math.min(stalledReaderBytes, queuedBytes / sixteenths));
      return user.dequeuedBytes - dequeuedBytes < enough;
    });
    stalled.sort((a, b) => b.queuedBytes - a.queuedBytes);
    // Once those that wait could go ahead there is nobody to be sent away for.
    const parts = this.#growing.size > 0 || this.#large.size > 0 ? sharedParts : largeParts;
    // While answers are made it is not for the little that they wait.
    const [stuck] = this.#growing;
    const isStuck = stuck !== undefined && stuck === this.#seenStuck;
    const bytesMin = isStuck ? 0 : this.#part / sixteenths;
    let bytes = this.#long;
    for (const user of stalled) {
      if (bytes <= parts * this.#part || user.queuedBytes < bytesMin) return;
      bytes -= user.queuedBytes;
      user.onStalled();
    }
  }
}

/**
 * What one answer in the making has taken of the room: of a call, which ends it with `leave` once
 * the answer is in the queue of its connection, or is given up.
 */
export class AnswerHold {
  readonly user: RoomUser;
  /** @internal Of the parts for short and for other answers. */
  shortBytes = 0;
  largeBytes = 0;
  readonly #room: SendRoom;
  #waiting: { readonly waits: Waiting; readonly reject: (error: Error) => void } | undefined;
  /** The end of those that were asked for while one waited. */
  #last: Promise<void> | undefined;

  /** See {@link SendRoom.hold}. */
  constructor(room: SendRoom, user: RoomUser) {
    this.#room = room;
    this.user = user;
  }

  get bytes(): number {
    return this.shortBytes + this.largeBytes;
  }

  /**
   * Takes so much more. Undefined: there it is; else a promise, which rejects if the answer would
   * be too large, too many wait, or the call is over.
   */
  take(bytes: number): Promise<void> | undefined {
    if (bytes === 0) return undefined;
    // One after the other: what has a part already goes before those that have nothing.
    const last = this.#last;
    const taken = last === undefined ? this.#take(bytes) : last.then(() => this.#take(bytes));
    if (taken === undefined) return undefined;
    const ended = taken.finally(() => {
      if (this.#last === ended) this.#last = undefined;
    });
    this.#last = ended;
    return ended;
  }

  #take(bytes: number): Promise<void> | undefined {
    let resolve = (): void => {};
    let waits: Waiting | undefined;
    try {
      waits = this.#room.take(this, bytes, () => resolve());
    } catch (error) {
      return Promise.reject(error);
    }
    if (waits === undefined) return undefined;
    const waiting = waits;
    return new Promise((done, reject) => {
      this.#waiting = { waits: waiting, reject };
      resolve = () => {
        this.#waiting = undefined;
        done();
      };
    });
  }

  /** The call is over: it waits no more; what it has it gives back when its maker leaves. */
  cancel(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    waiting.waits.cancel();
    waiting.reject(new EtcdError('REQUEST_CANCELED'));
  }

  /** It takes no more, but is there for longer: it is sent piece by piece. */
  settle(): void {
    this.#room.settled(this);
  }

  /** Gives all of it back; may be called again, and the hold be used anew. */
  leave(): void {
    this.cancel();
    if (this.bytes === 0) return;
    this.#room.gone(this);
    this.shortBytes = 0;
    this.largeBytes = 0;
  }
}
