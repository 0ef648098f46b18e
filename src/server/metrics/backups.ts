/** What is known of scheduled backups; there is one only where there is a schedule. */

export class BackupMetrics {
  /** Of the schedule. */
  readonly intervalSeconds: number;
  /** Wall clock of the last moment at which the newest backup was complete; 0: never here. */
  lastSuccessMs = 0;
  lastDurationSeconds = 0;
  lastBytes = 0;
  /** Of all that was written. */
  bytes = 0;
  failures = 0;
  /** The newest that is backed up. */
  revision = 0;

  constructor(intervalSeconds: number) {
    this.intervalSeconds = intervalSeconds;
  }
}
