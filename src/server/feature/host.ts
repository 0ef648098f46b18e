/**
 * What a feature stands on: the member, as far as it concerns all of them. A feature is given it
 * when it is made; from then on it may be used, though nothing moves before the loop is started.
 *
 * The one door for changes is {@link Host.propose}, the one for linearizable reads
 * {@link Host.read}: nobody else talks to the loop.
 */

import type {
  Clock,
  Disk,
  EtcdError,
  Logger,
  MemberId,
  Passwords,
  Random,
  Term,
} from '../../common/index.js';
import type { HeaderEncoder } from '../../proto/index.js';
import type { ConfigChangeStep, Raft } from '../../raft/index.js';
import type { MvccStore } from '../../storage/index.js';
import type { Access, AuthState, Tokens } from '../access/index.js';
import type { EntryType } from '../entry/index.js';
import type { Alarms } from '../guard/index.js';
import type { Membership, PeerAdmission } from '../membership/index.js';
import type { Metrics } from '../metrics/index.js';
import type { ServerConfig } from '../options/index.js';
import type { PeerTransport } from '../peers/index.js';
import type { LeaderQuestions } from './leader-questions.js';

/** Gets the outcome of a proposal; exactly one of `error` and `result` is set. */
export type Responder<Request, Result, Context> = (
  context: Context,
  request: Request,
  error: Error | undefined,
  result: Result | undefined,
) => void;

/** Runs once the read may go ahead, or with the reason why it can't. */
export type ReadWaiter<Context> = (context: Context, error: EtcdError | undefined) => void;

/** What this member knows of who leads. */
export interface LeaderView {
  /** 0n: nobody. */
  readonly leader: MemberId;
  readonly isLeader: boolean;
  hasLeader(): boolean;
  /**
   * Calls `lost` (at most once) when there has been no leader for three election timeouts; returns
   * how to unsubscribe.
   */
  onLeaderLost(lost: () => void): () => void;
}

export interface Host {
  // ---------------------------------------------------------------------------- who this is
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  /** Of the data directory: see PeerHello. */
  readonly incarnation: bigint;
  readonly config: ServerConfig;
  // ------------------------------------------------------------------------------ the outside
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly passwords: Passwords;
  /** What others than us set for programs as well: `AWS_*`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Undefined: this member is alone and stays so. */
  readonly peers: PeerTransport | undefined;
  // -------------------------------------------------------------------------------- the state
  readonly store: MvccStore;
  readonly membership: Membership;
  readonly alarms: Alarms;
  /** Who may do what. */
  readonly access: Access;
  /** Users and roles, which the feature auth changes, and the tokens that they get. */
  readonly authState: AuthState;
  readonly tokens: Tokens;
  /** Who may talk to this member. */
  readonly admission: PeerAdmission;
  /** To look at, and for what only Raft can do; entries go through `propose`. */
  readonly raft: Raft;
  readonly leadership: LeaderView;
  // ----------------------------------------------------------------------------------- bounds
  readonly requestBytesMax: number;
  readonly txnOpsMax: number;
  /** etcd's request timeout: 5 s and two elections. */
  readonly requestTimeoutMs: number;
  // ---------------------------------------------------------------------------------- answers
  readonly headers: HeaderEncoder;
  hasLeader(): boolean;
  /** The member's present Raft term. */
  term(): Term;

  /**
   * Puts an entry (`data` from `newEntry`, with its caller; `request` its decoded body) into the
   * log. `respond` is called once: when it was applied here, when it is refused (to this caller, or
   * for want of space), or when nobody knows within the request timeout. With `onlyInTerm` it is
   * refused unless this member still leads in that term.
   */
  propose<Request, Result, Context>(
    type: EntryType<Request, Result>,
    data: Buffer,
    request: Request,
    respond: Responder<Request, Result, Context>,
    context: Context,
    onlyInTerm?: Term,
  ): void;
  /** See NodeLoop. */
  proposeConfigChange<Request, Context>(
    steps: readonly ConfigChangeStep[],
    data: Buffer,
    request: Request,
    respond: Responder<Request, unknown, Context>,
    context: Context,
  ): void;
  /**
   * Runs `run` once a linearizable read may happen here. `bytes`: what the context holds of the
   * request. Where too many wait already, `run` gets TOO_MANY_REQUESTS at once.
   */
  read<Context>(run: ReadWaiter<Context>, context: Context, bytes?: number): void;
  /** The same as a promise: resolves once a linearizable read may happen here. */
  readBarrier(): Promise<void>;
  /** Up to where the log has been applied. */
  appliedIndex(): number;
  /** Raft was told something: the loop looks at it at the end of this turn. */
  wake(): void;
  /** To whoever leads. */
  readonly leaderQuestions: LeaderQuestions;
  /** This member can't go on. */
  fail(error: unknown): void;
}
