/**
 * Do all members hold the same data? Compared by hashes of everything up to a revision, which are
 * equal for equal data if the same was compacted. Three times, as etcd does it:
 *  - before this member serves, with whoever answers: if they differ it does not start;
 *  - from time to time, by the leader: what it and the others have now;
 *  - after compactions, by the leader: what everybody had at the compacted revision before it was
 *    compacted, which tells who is in the minority.
 * The first two look at users and roles as well, which are no data of any revision.
 * A member that deviates gets the alarm CORRUPT, which stops nearly everything (L-42:
 * silence is what made etcd 3.5's inconsistency so bad).
 */

import { Packr } from 'msgpackr';
import {
  type Clock,
  EtcdError,
  idToHex,
  Lock,
  type Logger,
  type MemberId,
  type Revision,
  StorageError,
  type Timer,
} from '../../common/index.js';
import { quorumOf } from '../../raft/index.js';
import type { MvccStore, RevisionHash } from '../../storage/index.js';
import type { AuthState } from '../access/index.js';
import type { Membership } from '../membership/index.js';
import type { PeerTransport } from '../peers/index.js';

export interface CorruptionCheckOptions {
  readonly self: MemberId;
  readonly store: Pick<MvccStore, 'hashKv' | 'revision' | 'compactionHashes'>;
  /** See AuthState. */
  readonly authState: Pick<AuthState, 'revision' | 'sum'>;
  readonly membership: Membership;
  readonly peers: Pick<PeerTransport, 'call'> | undefined;
  readonly isLeader: () => boolean;
  /** Resolves once a linearizable read may happen here. */
  readonly read: () => Promise<void>;
  /** Raises CORRUPT for the member; 0n: somebody, it can't be told who. */
  readonly raiseCorrupt: (member: MemberId) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly dataDir: string;
  /** For an answer of another member, which reads all its data for it. */
  readonly timeoutMs: number;
  /** --corrupt-check-time; 0: off. */
  readonly periodicMs: number;
  /** --compact-hash-check-time; 0: off. */
  readonly compactHashMs: number;
}

/** The data of one member up to a revision. */
export interface MemberRevisionHash {
  readonly hash: number;
  readonly compactRevision: Revision;
  /** What was asked for, or the newest one. */
  readonly hashedRevision: Revision;
  /** The newest one of the member. */
  readonly revision: Revision;
  /**
   * Of its users and roles: two sums of the same auth revision must be equal. A sum that is not
   * there is not known: it is a member of before, or users are just being removed.
   */
  readonly authRevision?: number;
  readonly authSum?: number | undefined;
}

interface MemberHash {
  readonly member: MemberId;
  /** Undefined: it did not answer, or can't. */
  readonly found: MemberRevisionHash | undefined;
}

const codec = new Packr({ useRecords: false, moreTypes: false });

export class CorruptionCheck {
  readonly #o: CorruptionCheckOptions;
  readonly #timers = new Map<string, Timer>();
  /** One hash at a time: each reads the whole store. */
  readonly #hashing = new Lock();
  /** The compacted revision that was found equal everywhere. */
  #checkedRevision: Revision = 0;
  #stopped = false;

  constructor(options: CorruptionCheckOptions) {
    this.#o = options;
  }

  /** Starts the checks of the leader. */
  start(): void {
    const { periodicMs, compactHashMs } = this.#o;
    this.#repeat('corruption check', periodicMs, () => this.checkPresent());
    this.#repeat('compaction hash check', compactHashMs, () => this.checkCompacted());
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
  }

  /** Rejects with StorageError if another member holds other data. */
  async checkInitially(): Promise<void> {
    const { self, logger, dataDir } = this.#o;
    const own = await this.hash(0, false);
    let mismatches = 0;
    for (const { member, found } of await this.#askOthers(own.hashedRevision, false)) {
      if (found !== undefined && haveOtherUsers(found, own)) {
        mismatches++;
        logger.warn('found different users or roles on remote peer', {
          member: idToHex(member),
          authRevision: own.authRevision,
        });
      }
      if (found === undefined || found.hash === own.hash) continue;
      const isSame = found.compactRevision === own.compactRevision;
      if (isSame) mismatches++;
      logger.warn(
        `found different ${isSame ? 'hash' : 'compact revision'} values from remote peer`,
        {
          member: idToHex(member),
          revision: own.hashedRevision,
          hashes: [own.hash, found.hash],
          compactRevisions: [own.compactRevision, found.compactRevision],
        },
      );
    }
    if (mismatches === 0) return;
    throw new StorageError(`${idToHex(self)} found data inconsistency with peers`, {
      path: dataDir,
      remedy:
        'Compare the hashes of all members (etcdctl endpoint hashkv --cluster) and replace the one ' +
        'that differs from most, which need not be this one; keep its directory for a report.',
    });
  }

  /** What this member and the others have now; only the leader knows what they should have. */
  async checkPresent(): Promise<void> {
    const { self, logger, read } = this.#o;
    const before = await this.hash(0, false);
    const others = await this.#askOthers(before.hashedRevision, false);
    await read();
    const after = await this.hash(0, false);
    const deviation = (member: MemberId, why: string, details: object): void => {
      logger.error(why, { member: idToHex(member), ...details });
      this.#o.raiseCorrupt(member);
    };
    if (
      after.hash !== before.hash &&
      after.hashedRevision === before.hashedRevision &&
      after.compactRevision === before.compactRevision
    ) {
      deviation(self, 'found hash mismatch', { before, after });
      return;
    }
    // As etcd: one alarm a round.
    for (const { member, found } of others) {
      if (found === undefined) continue;
      const why = deviationOf(found, before, after);
      if (why === undefined) continue;
      deviation(member, why, { found, before, after });
      return;
    }
  }

  /** The newest compaction that all can be asked about, and that was not compared before. */
  async checkCompacted(): Promise<void> {
    for (const own of this.#o.store.compactionHashes()) {
      if (own.hashRevision <= this.#checkedRevision) return;
      if (await this.#compareCompaction(own)) return;
    }
  }

  /** False: not all could be compared, so another compaction may tell more. */
  async #compareCompaction(own: RevisionHash): Promise<boolean> {
    const { logger, self } = this.#o;
    const revision = own.hashRevision;
    const others = await this.#askOthers(revision, true);
    if (others.length === 0) return true;
    const groups = new Map<number, MemberId[]>([[own.hash, [self]]]);
    let checked = 0;
    for (const { member, found } of others) {
      // One that was away, or restarted, may not have made this compaction after the same one.
      if (found === undefined || found.compactRevision !== own.compactRevision) continue;
      checked++;
      const group = groups.get(found.hash);
      if (group === undefined) groups.set(found.hash, [member]);
      else group.push(member);
    }
    const isDone = groups.size > 1 || checked === others.length;
    if (isDone) this.#checkedRevision = Math.max(this.#checkedRevision, revision);
    if (groups.size > 1) {
      this.#raiseForMinority(groups, quorumOf(others.length + 1), revision);
    } else {
      logger.info('finished compaction hash check', { revision, checked, of: others.length });
    }
    return isDone;
  }

  #raiseForMinority(
    groups: ReadonlyMap<number, readonly MemberId[]>,
    quorum: number,
    revision: Revision,
  ): void {
    const { logger, raiseCorrupt } = this.#o;
    const all = [...groups.values()];
    const majority = all.find((members) => members.length >= quorum);
    logger.error('detected compaction hash mismatch', {
      revision,
      members: [...groups].map(([hash, members]) => `${hash}: ${members.map(idToHex).join(' ')}`),
    });
    // Nobody knows then who is right.
    if (majority === undefined) raiseCorrupt(0n);
    for (const members of all) {
      if (members !== majority) for (const member of members) raiseCorrupt(member);
    }
  }

  /**
   * Of this member; `revision` 0: the newest. See {@link MvccStore.hashKv}, also for `kept`. Rejects
   * with COMPACTED or FUTURE_REVISION.
   */
  hash(revision: Revision, kept: boolean): Promise<MemberRevisionHash> {
    const { authState, store } = this.#o;
    return this.#hashing.run(async () => {
      const newest = store.revision;
      const found = await store.hashKv(Math.max(0, revision), kept);
      const { hash, compactRevision, hashRevision } = found;
      const { revision: authRevision, sum: authSum } = authState;
      const ofUsers = { authRevision, authSum };
      return { hash, compactRevision, hashedRevision: hashRevision, revision: newest, ...ofUsers };
    });
  }

  /** Answers the question 'hashKv'. */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    const { revision, kept } = codec.unpack(body) as { revision: unknown; kept?: unknown };
    if (typeof revision !== 'number' || !Number.isSafeInteger(revision)) {
      throw new TypeError('not a revision');
    }
    // Members of before do not say.
    return codec.pack(await this.hash(revision, kept === true));
  }

  async #askOthers(revision: Revision, kept: boolean): Promise<MemberHash[]> {
    const { membership, self } = this.#o;
    const others = membership.list().filter(({ id }) => id !== self);
    return await Promise.all(
      others.map(async ({ id }) => ({ member: id, found: await this.#ask(id, revision, kept) })),
    );
  }

  async #ask(
    member: MemberId,
    revision: Revision,
    kept: boolean,
  ): Promise<MemberRevisionHash | undefined> {
    const { logger, peers, timeoutMs } = this.#o;
    if (peers === undefined) return undefined;
    try {
      const body = codec.pack({ revision, kept });
      return codec.unpack(
        await peers.call(member, 'hashKv', body, timeoutMs),
      ) as MemberRevisionHash;
    } catch (error) {
      // COMPACTED: we are behind; FUTURE_REVISION: the other is.
      const reason = error instanceof EtcdError ? error.reason : String(error);
      logger.warn('failed hash kv request', { member: idToHex(member), revision, reason });
      return undefined;
    }
  }

  #repeat(what: string, intervalMs: number, check: () => Promise<void>): void {
    if (intervalMs <= 0 || this.#stopped) return;
    const { clock, isLeader, logger } = this.#o;
    const run = async (): Promise<void> => {
      if (isLeader()) {
        await check().catch((error: unknown) => {
          logger.warn(`failed to execute the ${what}`, { error: String(error) });
        });
      }
      this.#repeat(what, intervalMs, check);
    };
    this.#timers.set(what, clock.after(intervalMs, run));
  }
}

/** Why what a follower has can't be right, given what the leader had before and after asking. */
function deviationOf(
  found: MemberRevisionHash,
  before: MemberRevisionHash,
  after: MemberRevisionHash,
): string | undefined {
  if (found.revision > after.revision) {
    return "revision from follower must be less than or equal to leader's";
  }
  if (found.compactRevision > after.compactRevision) {
    return "compact revision from follower must be less than or equal to leader's";
  }
  if (found.compactRevision === before.compactRevision && found.hash !== before.hash) {
    return 'same compact revision then hashes must match';
  }
  if (haveOtherUsers(found, before) || haveOtherUsers(found, after)) {
    return 'same auth revision then users and roles must match';
  }
  return undefined;
}

/** Users and roles that differ although they should not. */
function haveOtherUsers(a: MemberRevisionHash, b: MemberRevisionHash): boolean {
  if (a.authSum === undefined || b.authSum === undefined) return false;
  return a.authRevision === b.authRevision && a.authSum !== b.authSum;
}
