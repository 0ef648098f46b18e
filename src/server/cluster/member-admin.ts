/**
 * Changes of the members as clients ask for them: checked at the leader, which alone knows who is
 * connected and how far a learner is, and proposed there. What is decided by the members alone is
 * checked once more when the entry is applied (membership.ts).
 *
 * --strict-reconfig-check refuses changes after which the members that are there could not agree on
 * anything, as etcd does (C-5.3).
 */

import { Packr } from 'msgpackr';
import {
  type Clock,
  EtcdError,
  idToHex,
  type Logger,
  type MemberId,
  type Settler,
  settle,
} from '../../common/index.js';
import { type AgeStamp, type ConfigChangeStep, quorumOf, type Raft } from '../../raft/index.js';
import { EntryKind, newEntry } from '../entry/index.js';
import type { LeaderQuestions, Responder } from '../feature/index.js';
import {
  addedMemberIdOf,
  configChangeSteps,
  encodeMemberChange,
  encodeMemberUpdate,
  idFromHex,
  type Member,
  type MemberChange,
  type Membership,
  type MemberUpdate,
} from '../membership/index.js';
import type { Metrics } from '../metrics/index.js';
import type { PeerTransport } from '../peers/index.js';

/** What a client wants changed, but for an update, which needs no leader. */
export type MemberRequest =
  | {
      readonly type: 'add';
      /** Checked, sorted. */
      readonly peerUrls: readonly string[];
      readonly isLearner: boolean;
    }
  | { readonly type: 'promote'; readonly id: MemberId }
  | { readonly type: 'remove'; readonly id: MemberId };

/** Where the changes are proposed. */
export interface MemberProposer {
  propose<Context>(
    data: Buffer,
    update: MemberUpdate,
    respond: Responder<MemberUpdate, unknown, Context>,
    context: Context,
  ): void;
  proposeConfigChange<Context>(
    steps: readonly ConfigChangeStep[],
    data: Buffer,
    change: MemberChange,
    respond: Responder<MemberChange, unknown, Context>,
    context: Context,
  ): void;
}

export interface MemberAdminOptions {
  readonly self: MemberId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly membership: Membership;
  readonly raft: Pick<Raft, 'ageStamp' | 'isFresh' | 'leader' | 'term' | 'progress' | 'status'>;
  readonly loop: MemberProposer;
  readonly leaderQuestions: LeaderQuestions;
  /** Undefined: this member is alone and stays so. */
  readonly peers: Pick<PeerTransport, 'connectedSinceMs'> | undefined;
  /** Resolves once a linearizable read may happen here. */
  readonly read: () => Promise<void>;
  readonly metrics: Pick<Metrics, 'learnerPromotionFailures' | 'learnerPromotions'>;
  readonly strictReconfigCheck: boolean;
  readonly learnersMax: number;
  /** How long an answer waits for this member to apply what the leader has done. */
  readonly timeoutMs: number;
}

/** So long a member must have been connected to count. As etcd. */
const healthyMs = 5000;
/** A learner that has this share of the leader's log is in sync. As etcd. */
const inSyncShare = 0.9;

const codec = new Packr({ useRecords: false, moreTypes: false });

interface Waiter {
  readonly isDone: () => boolean;
  readonly resolve: () => void;
}

export class MemberAdmin {
  readonly #o: MemberAdminOptions;
  #waiters: Waiter[] = [];

  constructor(options: MemberAdminOptions) {
    this.#o = options;
    options.membership.onChange(() => this.#wake());
  }

  /**
   * Has it done by the leader; resolves with the id of the member once this member has applied it.
   * Rejects with an EtcdError; after TIMEOUT nobody knows whether it will happen.
   */
  async change(request: MemberRequest): Promise<MemberId> {
    // Without a leader nothing will happen; then etcd's answer is the one of this check.
    const { raft } = this.#o;
    if (raft.leader === 0n) this.#checkQuorum(request);
    const { result: id, isOwn } = await this.#o.leaderQuestions.ask({
      method: 'memberChange',
      get body() {
        return encodeMemberRequest(request, raft.ageStamp);
      },
      here: () => this.execute(request),
      decode: decodeMemberReply,
      repeatable: false,
      withoutLeader: request.type === 'promote' ? 'NO_LEADER' : 'TIMEOUT',
    });
    // One that was removed itself may never hear of it from those who do not talk to it any more.
    const isGone = request.type === 'remove' && id === this.#o.self;
    if (!isOwn && !isGone) await this.#applied(request.type, id);
    return id;
  }

  /**
   * What another member asks for. A question that was held up for so long that it must have been
   * answered there is not acted on; NOT_LEADER says that nothing happened.
   */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    const { request, stamp } = decodeMemberRequest(body);
    if (stamp !== undefined && !this.#o.raft.isFresh(stamp)) throw new EtcdError('NOT_LEADER');
    return encodeMemberReply(await this.execute(request));
  }

  /** Executes it here, at the leader; rejects with NOT_LEADER elsewhere. */
  async execute(request: MemberRequest): Promise<MemberId> {
    const { logger, metrics } = this.#o;
    try {
      const id = await this.#execute(request);
      if (request.type === 'promote') metrics.learnerPromotions += 1;
      return id;
    } catch (error) {
      if (!(error instanceof EtcdError) || error.reason === 'NOT_LEADER') throw error;
      if (request.type === 'promote') metrics.learnerPromotionFailures.of(error.message).value += 1;
      logger.warn('refused a change of the members', {
        ...{ change: request.type, error: error.message, ...this.#health() },
        ...('id' in request ? { member: idToHex(request.id) } : {}),
      });
      throw error;
    }
  }

  async #execute(request: MemberRequest): Promise<MemberId> {
    const { self, raft, read, membership, logger } = this.#o;
    const { term } = raft;
    const check = (): void => {
      if (raft.leader !== self || raft.term !== term) throw new EtcdError('NOT_LEADER');
      this.#checkQuorum(request);
      if (request.type === 'promote') this.#checkInSync(request.id);
    };
    check();
    // A new leader may not have applied yet what it is asked about.
    await read();
    check();
    const change = this.#changeOf(request);
    const refusal = membership.refusal(change);
    if (refusal !== undefined) throw new EtcdError(refusal);
    // Raft takes no change that leaves no voter, strict or not.
    const remaining = membership.voters().filter(({ id }) => id !== change.id);
    if (change.type === 'remove' && remaining.length === 0) {
      throw new EtcdError('NOT_ENOUGH_STARTED');
    }
    if (change.type === 'promote') this.#checkPromotion(change.id);
    await this.#propose(change);
    logger.info('changed the members', { change: change.type, member: idToHex(change.id) });
    return change.id;
  }

  /** New peer URLs of a member. Rejects with an EtcdError. */
  update(update: MemberUpdate): Promise<void> {
    const data = newEntry(EntryKind.memberUpdate, encodeMemberUpdate(update));
    return new Promise((resolve, reject) => {
      this.#o.loop.propose(data, update, settled, { resolve, reject });
    });
  }

  #changeOf(request: MemberRequest): MemberChange {
    if (request.type !== 'add') return request;
    const { peerUrls, isLearner } = request;
    const { clock, learnersMax } = this.#o;
    const id = addedMemberIdOf(peerUrls, clock.wallMs() / 1000);
    return { type: 'add', id, peerUrls, isLearner, learnersMax };
  }

  #propose(change: MemberChange): Promise<void> {
    const data = newEntry(EntryKind.memberChange, encodeMemberChange(change));
    return new Promise((resolve, reject) => {
      const steps = configChangeSteps(change);
      this.#o.loop.proposeConfigChange(steps, data, change, settled, { resolve, reject });
    });
  }

  // ------------------------------------------------------------------------ checks

  /** As far as this member knows; throws NOT_ENOUGH_STARTED or UNHEALTHY. */
  #checkQuorum(request: MemberRequest): void {
    if (!this.#o.strictReconfigCheck) {
      // Alone, without links, an added member could never be reached.
      if (request.type === 'add' && this.#o.peers === undefined) throw new EtcdError('UNHEALTHY');
      return;
    }
    const voters = this.#o.membership.voters();
    switch (request.type) {
      case 'add':
        this.#checkAdd(voters, request.isLearner);
        break;
      case 'remove':
        this.#checkRemove(voters, request.id);
        break;
      case 'promote':
        // The learner counts as a voter that has started.
        if (startedOf(voters) + 1 < quorumOf(voters.length + 1)) {
          throw new EtcdError('NOT_ENOUGH_STARTED');
        }
        break;
    }
  }

  #checkAdd(voters: readonly Member[], isLearner: boolean): void {
    if (this.#o.peers === undefined) throw new EtcdError('UNHEALTHY');
    const started = startedOf(voters);
    const isSecond = voters.length === 1 && started === 1;
    if (!isLearner && !isSecond && started < quorumOf(voters.length + 1)) {
      throw new EtcdError('NOT_ENOUGH_STARTED');
    }
    // The new one is not there yet.
    if (voters.length > 1 && this.#connectedOf(voters) < quorumOf(voters.length + 1)) {
      throw new EtcdError('UNHEALTHY');
    }
  }

  #checkRemove(voters: readonly Member[], id: MemberId): void {
    const { membership, peers, self } = this.#o;
    if (membership.get(id)?.isLearner === true) return;
    const others = voters.filter((voter) => voter.id !== id);
    if (startedOf(others) < quorumOf(others.length)) throw new EtcdError('NOT_ENOUGH_STARTED');
    // One that is down is no part of the quorum that is there.
    if (id !== self && peers?.connectedSinceMs(id) === undefined) return;
    if (this.#connectedOf(voters) - 1 < quorumOf(voters.length - 1)) {
      throw new EtcdError('UNHEALTHY');
    }
  }

  /** How many have been connected for a while, this member included. */
  #connectedOf(members: readonly Member[]): number {
    const { clock, peers, self } = this.#o;
    const sinceMs = clock.nowMs() - healthyMs;
    return members.filter(({ id }) => {
      return id === self || (peers?.connectedSinceMs(id) ?? Number.POSITIVE_INFINITY) < sinceMs;
    }).length;
  }

  /** At the leader; in etcd's order: a voter that lags is told that it lags. */
  #checkInSync(id: MemberId): void {
    const { self, raft } = this.#o;
    if (id === self) return;
    const progress = raft.progress().find(({ member }) => member === id);
    if (progress === undefined) throw new EtcdError('MEMBER_NOT_FOUND');
    if (progress.matchIndex < inSyncShare * raft.status().lastIndex) {
      throw new EtcdError('LEARNER_NOT_READY');
    }
  }

  /**
   * What etcd does not look at: the learner may have gone since it was in sync, and be needed for
   * the quorum of the larger cluster from its promotion on. At the leader.
   */
  #checkPromotion(id: MemberId): void {
    const { membership, strictReconfigCheck } = this.#o;
    if (membership.isReadOnly(id)) throw new EtcdError('LEARNER_READ_ONLY');
    if (!strictReconfigCheck) return;
    const after = [...membership.voters().map((voter) => voter.id), id];
    if (this.#thereOf(after).length < quorumOf(after.length)) throw new EtcdError('UNHEALTHY');
  }

  /** Who is connected and answers now, this member included. At the leader. */
  #thereOf(ids: readonly MemberId[]): MemberId[] {
    const { peers, raft, self } = this.#o;
    const active = new Set<MemberId>([self]);
    for (const view of raft.progress()) if (view.active) active.add(view.member);
    return ids.filter((id) => {
      return active.has(id) && (id === self || peers?.connectedSinceMs(id) !== undefined);
    });
  }

  /** For whoever asks why a change was refused. */
  #health(): Readonly<Record<string, unknown>> {
    const voters = this.#o.membership.voters();
    const there = this.#thereOf(voters.map(({ id }) => id));
    return {
      voters: voters.map(({ id }) => idToHex(id)),
      missing: voters.filter(({ id }) => !there.includes(id)).map(({ id }) => idToHex(id)),
      quorum: quorumOf(voters.length),
    };
  }

  // ------------------------------------------------------------------------ waiting

  /** Resolves when what the leader has done is done here. */
  #applied(type: MemberRequest['type'], id: MemberId): Promise<void> {
    const { clock, membership, timeoutMs } = this.#o;
    const isDone = (): boolean => {
      if (membership.isRemoved(id)) return true;
      const member = membership.get(id);
      if (member === undefined || type === 'remove') return false;
      return type === 'add' || !member.isLearner;
    };
    if (isDone()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = clock.after(timeoutMs, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(new EtcdError('TIMEOUT_APPLY'));
      });
      const waiter: Waiter = {
        isDone,
        resolve: () => {
          timer.cancel();
          resolve();
        },
      };
      this.#waiters.push(waiter);
    });
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const done = this.#waiters.filter((waiter) => waiter.isDone());
    this.#waiters = this.#waiters.filter((waiter) => !done.includes(waiter));
    for (const waiter of done) waiter.resolve();
  }
}

/** Body of the question 'memberChange'. Versions before the stamp look past it. */
export function encodeMemberRequest(request: MemberRequest, stamp: AgeStamp): Buffer {
  const { term, clockMs } = stamp;
  const change = request.type === 'add' ? request : { ...request, id: idToHex(request.id) };
  return codec.pack({ ...change, term, clockMs });
}

/** Checked, for it goes into the log: throws TypeError for what is no request. */
export function decodeMemberRequest(body: Uint8Array): {
  readonly request: MemberRequest;
  /** Undefined: of an older version. */
  readonly stamp: AgeStamp | undefined;
} {
  const wire = codec.unpack(body) as Readonly<Record<string, unknown>> | null;
  const { type, id, peerUrls, isLearner, term, clockMs } = wire ?? {};
  const isStamped = typeof term === 'number' && typeof clockMs === 'number';
  const stamp = isStamped ? { term, clockMs } : undefined;
  if (type === 'add') {
    const areUrls = Array.isArray(peerUrls) && peerUrls.every((url) => typeof url === 'string');
    if (areUrls && typeof isLearner === 'boolean') {
      return { request: { type, peerUrls, isLearner }, stamp };
    }
  } else if (type === 'promote' || type === 'remove') {
    if (typeof id === 'string' && /^[0-9a-f]{1,16}$/.test(id)) {
      return { request: { type, id: idFromHex(id) }, stamp };
    }
  }
  throw new TypeError('not a change of the members');
}

/** Its answer: the id of the member. */
export function encodeMemberReply(id: MemberId): Buffer {
  return codec.pack({ id: idToHex(id) });
}

function decodeMemberReply(body: Uint8Array): MemberId {
  return idFromHex((codec.unpack(body) as { id: string }).id);
}

/** The responder of a proposal of which only the outcome is wanted. */
function settled(settler: Settler, _request: unknown, error: Error | undefined): void {
  settle(settler, error);
}

/** A member has a name once it has started. */
function startedOf(members: readonly Member[]): number {
  return members.filter(({ name }) => name !== '').length;
}
