/**
 * The three configurations that a member keeps, and how one becomes the other (paper section 6,
 * thesis chapter 4). They are one and the same but for two moments: while entries are being applied
 * whose `applied` has not been called yet, and while a snapshot has arrived that the state machine
 * has not installed.
 *
 *      a 'configChange' entry                      a snapshot arrives
 *           is applied                             (InstallSnapshot)
 *               |                                         |
 *               v         unless a snapshot waits         v
 *       +---------------+ -----------------------> +-------------+   decides: quorums, who gets
 *       |   ofMachine   |                          |   inForce   |   entries, who may campaign,
 *       +---------------+ <----------------------- +-------------+   which changes are possible
 *               |         the snapshot is installed
 *               |
 *               | `applied` is called
 *               v
 *       +---------------+   is told: the configuration that goes with the snapshots
 *       |   atApplied   |   which this leader names to others
 *       +---------------+
 *
 * Why three: a snapshot counts from the moment it arrived, for its log does, but entries from
 * before it may still be on their way to the state machine, and change what *it* has; and a leader
 * must never send a snapshot with a configuration that is newer than the data.
 */

import { assert } from '../common/index.js';
import { changeConfiguration } from './config-change.js';
import type { ConfigChange, Configuration } from './types.js';

export class ConfigurationStages {
  #inForce: Configuration;
  #ofMachine: Configuration;
  #atApplied: Configuration;
  /** A snapshot has arrived and is not installed. */
  #awaitsSnapshot = false;

  /** `restored`: as of the applied index. */
  constructor(restored: Configuration) {
    this.#inForce = restored;
    this.#ofMachine = restored;
    this.#atApplied = restored;
  }

  /** Of the newest change applied, or of a snapshot from the moment it arrived. */
  get inForce(): Configuration {
    return this.#inForce;
  }

  /** As the state machine has it; behind `inForce` until a snapshot is installed. */
  get ofMachine(): Configuration {
    return this.#ofMachine;
  }

  /** As of the applied index: what a snapshot taken there has. */
  get atApplied(): Configuration {
    return this.#atApplied;
  }

  /** What `change` leads to, if it is applied now; undefined if it is not possible. */
  after(change: ConfigChange): Configuration | undefined {
    return changeConfiguration(this.#ofMachine, change);
  }

  /** The state machine applied the change that led to `next`. */
  changed(next: Configuration): void {
    this.#ofMachine = next;
    // What came before a snapshot that has arrived is in it.
    if (!this.#awaitsSnapshot) this.#inForce = next;
  }

  /** A snapshot replaced the log. */
  snapshotArrived(configuration: Configuration): void {
    this.#awaitsSnapshot = true;
    this.#inForce = configuration;
  }

  /** The state machine installed the snapshot that arrived last. */
  snapshotInstalled(): void {
    assert(this.#awaitsSnapshot, 'the snapshot that was installed has arrived before');
    this.#awaitsSnapshot = false;
    this.#ofMachine = this.#inForce;
  }

  /** The applied index is where the state machine is. */
  applied(): void {
    assert(
      this.#awaitsSnapshot || this.#ofMachine === this.#inForce,
      'the configuration in force is that of the state machine',
    );
    this.#atApplied = this.#ofMachine;
  }
}
