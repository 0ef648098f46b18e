/** Backups by a schedule (`--backup-dir`); docs/adr/0017-backups.md. */

import { authText, hex8, openTarget } from '../../backup/index.js';
import { idToHex } from '../../common/index.js';
import { imageFileName } from '../bootstrap/index.js';
import type { Feature, Host } from '../feature/index.js';
import { BackupMetrics } from '../metrics/index.js';
import type { BackupConfig } from '../options/index.js';
import { ScheduledBackup } from './scheduled-backup.js';

/** Calls of Snapshot number theirs from 1. */
const imageNumber = 0;

export function scheduledBackupFeature(host: Host, backup: BackupConfig): Feature {
  const { access, authState, clock, config, disk, logger, random, store } = host;
  const metrics = new BackupMetrics(backup.intervalMs / 1000);
  host.metrics.backups = metrics;
  const { fullEvery, intervalMs, key, place, retention, s3 } = backup;
  const schedule = new ScheduledBackup({
    openTarget: () => openTarget(place, s3, { disk, clock, env: host.environment }),
    writer: hex8(Number(BigInt.asUintN(32, host.memberId))),
    ...{ key, intervalMs, fullEvery, retention, store, metrics, clock, disk, random, logger },
    clusterId: idToHex(host.clusterId),
    auth: () => authText(authState.revision, access.isEnabled),
    imagePath: `${config.dataDir}/member/${imageFileName(imageNumber)}`,
  });
  let leads = false;
  let serves = false;
  const look = (): void => {
    if (leads && serves) schedule.start();
    else schedule.stop();
  };
  return {
    name: 'scheduled backup',
    serve() {
      serves = true;
      look();
    },
    lead() {
      leads = true;
      look();
    },
    follow() {
      leads = false;
      look();
    },
    retire() {
      serves = false;
      look();
    },
  };
}
