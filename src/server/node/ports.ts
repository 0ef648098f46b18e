/** What a node needs of the outside; the network is the server's business. */

import type {
  Clock,
  Disk,
  Logger,
  Network,
  OpenKvStore,
  Passwords,
  Random,
  SignedTokens,
} from '../../common/index.js';
import type { StateTracer } from '../../raft/index.js';
import type { PeerTransport } from '../peers/index.js';

export interface NodePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly openKvStore: OpenKvStore;
  readonly passwords: Passwords;
  /** With `--auth-token jwt`; undefined: simple tokens. */
  readonly signedTokens?: SignedTokens | undefined;
  /** For `AWS_*`; without it they are not set. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** See Network; without it host names are only compared as they are. */
  readonly resolve?: Network['resolve'];
  /** See Network; without it --discovery-srv finds nobody. */
  readonly resolveSrv?: Network['resolveSrv'] | undefined;
  /** The links to other members; without them the cluster is one member and stays so. */
  readonly peers?: PeerTransport;
  /** What the process may use; without it values get what a small machine would give. */
  readonly memory?: { readonly bytes: number };
  /** Is told each step of Raft. */
  readonly raftTracer?: StateTracer | undefined;
  /** For simulations: see {@link NodeTuning}. */
  readonly tuning?: Partial<NodeTuning>;
}

/** Bounds that have one good value in production; small ones make rare things frequent. */
export interface NodeTuning {
  /** See RaftOptions. */
  readonly appendBytesMax: number;
  readonly inflightAppendsMax: number;
  readonly applyBytesMax: number;
  /** See LogKeeperOptions. */
  readonly lookEntries: number;
  /** See WalOptions. */
  readonly walSegmentBytes: number;
  /** What a request timeout is beside two election timeouts. */
  readonly requestTimeoutBaseMs: number;
}

/** etcd: 5 s for the disk and two elections. */
const requestTimeoutBaseMs = 5000;

/** etcd's request timeout. */
export function requestTimeoutMs(tuning: NodePorts['tuning'], electionMs: number): number {
  return (tuning?.requestTimeoutBaseMs ?? requestTimeoutBaseMs) + 2 * electionMs;
}
