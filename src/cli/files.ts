/** Files that the command itself reads and writes: configuration, certificates, logs. */

import { openSync, readFileSync } from 'node:fs';

/** The whole file as UTF-8; throws as node:fs does. */
export function readTextFile(path: string): string {
  return readFileSync(path, 'utf8');
}

/** Opens for appending, created with mode 0600 as etcd's log files are; throws as node:fs does. */
export function openAppend(path: string): number {
  return openSync(path, 'a', 0o600);
}
