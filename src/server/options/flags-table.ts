/** Every flag of etcd 3.7 and those of kvorum's own, in the order in which --help prints them. */

import type { FlagSpec } from './flag-spec.js';
import { backupFlags } from './flags-backup.js';
import { clusteringFlags, memberFlags } from './flags-member.js';
import {
  authFlags,
  featureFlags,
  ignoredFlags,
  loggingFlags,
  monitoringFlags,
  securityFlags,
  unsafeFlags,
} from './flags-process.js';

export const flagTable: readonly FlagSpec[] = [
  ...memberFlags,
  ...clusteringFlags,
  ...securityFlags,
  ...authFlags,
  ...monitoringFlags,
  ...backupFlags,
  ...loggingFlags,
  ...featureFlags,
  ...unsafeFlags,
  ...ignoredFlags,
];

/** Rows by name. */
export const flagByName: ReadonlyMap<string, FlagSpec> = new Map(
  flagTable.map((spec) => [spec.name, spec]),
);

/** `ETCD_FOO_BAR` for `foo-bar`. */
export function environmentName(flagName: string): string {
  return `ETCD_${flagName.toUpperCase().replaceAll('-', '_').replaceAll('.', '_')}`;
}
