/**
 * The version that all members can live with: the lowest major and minor of those that they behave
 * like. Each member works it out by itself from what the others answer. Only while a downgrade is
 * on it is what that has come to, which is replicated.
 */

import { type Clock, idToHex, type Logger, type MemberId, type Timer } from '../../common/index.js';
import { clusterQuestion, decodeClusterAnswer, type Membership } from '../membership/index.js';
import type { PeerTransport } from '../peers/index.js';
import type { DowngradeState } from './downgrade.js';
import { lowestVersion } from './version-text.js';

export interface ClusterVersionOptions {
  readonly self: MemberId;
  /** Of the etcd that this member behaves like. */
  readonly etcdVersion: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly membership: Membership;
  readonly peers: Pick<PeerTransport, 'call'> | undefined;
  /** See Downgrade. */
  readonly downgrade: { readonly state: Pick<DowngradeState, 'clusterVersion'> };
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
    const { downgrade, etcdVersion, membership, self } = this.#o;
    const { clusterVersion } = downgrade.state;
    if (clusterVersion !== undefined) return clusterVersion;
    const versions = [etcdVersion];
    for (const { id } of membership.list()) {
      const version = this.#versions.get(id);
      if (id !== self && version !== undefined) versions.push(version);
    }
    return lowestVersion(versions);
  }

  /** Asks the others from time to time. */
  start(): void {
    this.ask().then(() => {
      if (this.#stopped) return;
      this.#timer = this.#o.clock.after(askMs, () => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Asks them now. Resolves with the versions of all members; undefined if one did not answer. */
  async ask(): Promise<readonly string[] | undefined> {
    const { etcdVersion, membership, self } = this.#o;
    const others = membership.list().filter(({ id }) => id !== self);
    const versions = await Promise.all(others.map(({ id }) => this.#ask(id)));
    const known = versions.filter((version) => version !== undefined);
    return known.length < versions.length ? undefined : [etcdVersion, ...known];
  }

  async #ask(member: MemberId): Promise<string | undefined> {
    const { peers, logger } = this.#o;
    if (peers === undefined) return undefined;
    try {
      const answer = await peers.call(member, 'cluster', clusterQuestion, answerTimeoutMs);
      const version = decodeClusterAnswer(answer).etcdVersion;
      this.#versions.set(member, version);
      return version;
    } catch (error) {
      logger.debug('failed to get version', {
        member: idToHex(member),
        error: error instanceof Error ? error.message : String(error),
      });
      return undefined;
    }
  }
}
