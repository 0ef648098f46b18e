/**
 * Do all members hold the same data? Compared by hashes of everything up to a revision, which are
 * equal for equal data if the same was compacted. Three times, as etcd does it:
 *  - before this member serves, with whoever answers: if they differ it does not start;
 *  - from time to time, by the leader: what it and the others have now;
 *  - after compactions, by the leader: everybody at the compacted revision, which tells who is in
 *    the minority.
 * A member that deviates gets the alarm CORRUPT, which stops nearly everything (reliability.md
 * 1.2: silence is what made etcd 3.5's inconsistency so bad).
 */

import { Packr } from 'msgpackr';
import {
  type Clock,
  EtcdError,
  idToHex,
  type Logger,
  type MemberId,
  type Revision,
  StorageError,
  type Timer,
} from '../common/index.js';
import type { MvccStore } from '../storage/index.js';
import type { Membership } from './membership.js';
import type { PeerTransport } from './peers/types.js';

export interface CorruptionCheckOptions {
  readonly self: MemberId;
  readonly store: Pick<MvccStore, 'hashKv' | 'revision' | 'compactRevision'>;
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
export interface RevisionHash {
  readonly hash: number;
  readonly compactRevision: Revision;
  /** What was asked for, or the newest one. */
  readonly hashedRevision: Revision;
  /** The newest one of the member. */
  readonly revision: Revision;
}

interface MemberHash {
  readonly member: MemberId;
  /** Undefined: it did not answer, or can't. */
  readonly found: RevisionHash | undefined;
}

const codec = new Packr({ useRecords: false, moreTypes: false });

export class CorruptionCheck {
  readonly #o: CorruptionCheckOptions;
  readonly #timers = new Map<string, Timer>();
  /** One hash at a time: each reads the whole store. */
  #lastHash: Promise<unknown> = Promise.resolve();
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
    const own = await this.hash(0);
    let mismatches = 0;
    for (const { member, found } of await this.#askOthers(own.hashedRevision)) {
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
    const before = await this.hash(0);
    const others = await this.#askOthers(before.hashedRevision);
    await read();
    const after = await this.hash(0);
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

  /** Everybody at the compacted revision. */
  async checkCompacted(): Promise<void> {
    const { store, logger, self } = this.#o;
    const revision = store.compactRevision;
    if (revision <= this.#checkedRevision) return;
    const own = await this.hash(revision);
    // The next compaction came in between: there will be another round.
    if (own.compactRevision !== revision) return;
    const others = await this.#askOthers(revision);
    if (others.length === 0) return;
    const groups = new Map<number, MemberId[]>([[own.hash, [self]]]);
    let checked = 0;
    for (const { member, found } of others) {
      if (found === undefined || found.compactRevision !== revision) continue;
      checked++;
      const group = groups.get(found.hash);
      if (group === undefined) groups.set(found.hash, [member]);
      else group.push(member);
    }
    if (groups.size === 1) {
      if (checked === others.length) this.#checkedRevision = revision;
      logger.info('finished compaction hash check', { revision, checked, of: others.length });
      return;
    }
    this.#checkedRevision = revision;
    this.#raiseForMinority(groups, Math.floor((others.length + 1) / 2) + 1, revision);
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

  /** Of this member; `revision` 0: the newest. Rejects with COMPACTED or FUTURE_REVISION. */
  hash(revision: Revision): Promise<RevisionHash> {
    const { store } = this.#o;
    const result = this.#lastHash.then(async () => {
      const newest = store.revision;
      const hashedRevision = revision > 0 ? revision : newest;
      const { hash, compactRevision } = await store.hashKv(hashedRevision);
      return { hash, compactRevision, hashedRevision, revision: newest };
    });
    this.#lastHash = result.catch(() => {});
    return result;
  }

  /** Answers the question 'hashKv'. */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    const { revision } = codec.unpack(body) as { revision: unknown };
    if (typeof revision !== 'number' || !Number.isSafeInteger(revision)) {
      throw new TypeError('not a revision');
    }
    return codec.pack(await this.hash(revision));
  }

  async #askOthers(revision: Revision): Promise<MemberHash[]> {
    const { membership, self } = this.#o;
    const others = membership.list().filter(({ id }) => id !== self);
    return await Promise.all(
      others.map(async ({ id }) => ({ member: id, found: await this.#ask(id, revision) })),
    );
  }

  async #ask(member: MemberId, revision: Revision): Promise<RevisionHash | undefined> {
    const { logger, peers, timeoutMs } = this.#o;
    if (peers === undefined) return undefined;
    try {
      const body = codec.pack({ revision });
      return codec.unpack(await peers.call(member, 'hashKv', body, timeoutMs)) as RevisionHash;
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
  found: RevisionHash,
  before: RevisionHash,
  after: RevisionHash,
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
  return undefined;
}
