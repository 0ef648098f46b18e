/** Files that the command itself reads and writes: configuration, certificates, logs. */

import { openSync, readFileSync } from 'node:fs';

/** The whole file; throws as node:fs does. */
export function readFile(path: string): Buffer {
  return readFileSync(path);
}

/** Opens for appending, created with mode 0600 as etcd's log files are; throws as node:fs does. */
export function openAppend(path: string): number {
  return openSync(path, 'a', 0o600);
}
