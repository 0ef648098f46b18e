/**
 * The version that all members can live with: the lowest major and minor of those that they behave
 * like. Each member works it out by itself from what the others answer.
 */

import { type Clock, idToHex, type Logger, type MemberId, type Timer } from '../../common/index.js';
import { clusterQuestion, decodeClusterAnswer, type Membership } from '../membership/index.js';
import type { PeerTransport } from '../peers/index.js';

export interface ClusterVersionOptions {
  readonly self: MemberId;
  /** Of the etcd that this member behaves like. */
  readonly etcdVersion: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly membership: Membership;
  readonly peers: Pick<PeerTransport, 'call'> | undefined;
}

/** etcd's monitorVersionInterval is 4 s; a version only changes with a restart. */
const askMs = 30_000;
const answerTimeoutMs = 5000;

export class ClusterVersion {
  readonly #o: ClusterVersionOptions;
  readonly #versions = new Map<MemberId, string>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ClusterVersionOptions) {
    this.#o = options;
  }

  /** "major.minor.0" */
  get version(): string {
    const { etcdVersion, membership, self } = this.#o;
    const versions = [etcdVersion];
    for (const { id } of membership.list()) {
      const version = this.#versions.get(id);
      if (id !== self && version !== undefined) versions.push(version);
    }
    return lowestVersion(versions);
  }

  /** Asks the others from time to time. */
  start(): void {
    this.#round().then(() => {
      if (this.#stopped) return;
      this.#timer = this.#o.clock.after(askMs, () => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #round(): Promise<void> {
    const { membership, self } = this.#o;
    const others = membership.list().filter(({ id }) => id !== self);
    await Promise.all(others.map(({ id }) => this.#ask(id)));
  }

  async #ask(member: MemberId): Promise<void> {
    const { peers, logger } = this.#o;
    if (peers === undefined) return;
    try {
      const answer = await peers.call(member, 'cluster', clusterQuestion, answerTimeoutMs);
      this.#versions.set(member, decodeClusterAnswer(answer).etcdVersion);
    } catch (error) {
      logger.debug('failed to get version', {
        member: idToHex(member),
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }
}

/** "major.minor.0" of the lowest one. */
export function lowestVersion(versions: readonly string[]): string {
  let lowest: readonly [number, number] = [Number.POSITIVE_INFINITY, 0];
  for (const version of versions) {
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major < lowest[0] || (major === lowest[0] && minor < lowest[1])) lowest = [major, minor];
  }
  return `${lowest[0]}.${lowest[1]}.0`;
}
