/**
 * What the leader does for a downgrade that is on: it lowers the cluster version once all members
 * are of the version that is to be left, and ends the downgrade once all are of its target. After
 * one it lets the cluster version be what the members make it.
 */

import type { Clock, Logger, Timer } from '../../common/index.js';
import type { DowngradeState, DowngradeStep } from './downgrade.js';
import { lowestVersion, oneMinorBelow } from './version-text.js';

export interface DowngradeWatchOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly downgrade: { readonly state: DowngradeState };
  /** Resolves with the versions of all members; undefined if one can't be asked. */
  readonly versions: () => Promise<readonly string[] | undefined>;
  /** Puts a step into the log; what becomes of it is seen at the next look. */
  readonly propose: (step: DowngradeStep) => void;
  /** Between two looks whether it is over (--downgrade-check-time); 0: never. */
  readonly checkMs: number;
}

/** Between two looks at the cluster version; etcd's monitorVersionInterval. */
const versionCheckMs = 4000;

export class DowngradeWatch {
  readonly #o: DowngradeWatchOptions;
  #timers: readonly Timer[] = [];
  /** Counts up with each beginning and end, so that what is under way then counts no more. */
  #round = 0;

  constructor(options: DowngradeWatchOptions) {
    this.#o = options;
  }

  /** This member leads. */
  start(): void {
    this.stop();
    const { checkMs } = this.#o;
    this.#every(versionCheckMs, () => this.#version());
    if (checkMs > 0) this.#every(checkMs, () => this.#end());
  }

  stop(): void {
    this.#round += 1;
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
  }

  #every(pauseMs: number, look: () => Promise<DowngradeStep | undefined>): void {
    const round = this.#round;
    const again = (): void => {
      const timer = this.#o.clock.after(pauseMs, () => {
        this.#timers = this.#timers.filter((one) => one !== timer);
        look().then((step) => {
          if (round !== this.#round) return;
          if (step !== undefined) this.#o.propose(step);
          again();
        });
      });
      this.#timers = [...this.#timers, timer];
    };
    again();
  }

  async #version(): Promise<DowngradeStep | undefined> {
    const { downgrade, logger, versions } = this.#o;
    const { clusterVersion, targetVersion } = downgrade.state;
    // With none on both are undefined.
    if (clusterVersion === targetVersion) return undefined;
    const known = await versions();
    if (known === undefined) return undefined;
    if (targetVersion === undefined) return { type: 'raise', targetVersion: '' };
    const lowest = lowestVersion(known);
    if (oneMinorBelow(lowest) === targetVersion) return { type: 'lower', targetVersion };
    logger.error('can not downgrade from the lowest version of the members to the target', {
      targetVersion,
      lowestVersion: lowest,
    });
    return undefined;
  }

  async #end(): Promise<DowngradeStep | undefined> {
    const { downgrade, logger, versions } = this.#o;
    const { targetVersion } = downgrade.state;
    if (targetVersion === undefined) return undefined;
    const known = await versions();
    if (known?.every((version) => lowestVersion([version]) === targetVersion) !== true) {
      return undefined;
    }
    logger.info('the cluster has been downgraded', { clusterVersion: targetVersion });
    return { type: 'cancel', targetVersion: '' };
  }
}
