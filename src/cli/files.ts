/** Files that the command itself reads and writes: configuration, certificates, logs. */

import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** The whole file; throws as node:fs does. */
export function readFile(path: string): Buffer {
  return readFileSync(path);
}

/** Opens for appending, created with mode 0600 as etcd's log files are; throws as node:fs does. */
export function openAppend(path: string): number {
  return openSync(path, 'a', 0o600);
}

/** Makes a folder that only this user may read, and those that it needs; throws as node:fs does. */
export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** A new folder in `parent`, whose name begins so. */
export function makeTemporaryFolder(parent: string, prefix: string): string {
  return mkdtempSync(join(parent, prefix));
}

/** With all that is in it; none is fine. */
export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

export function closeFile(descriptor: number): void {
  closeSync(descriptor);
}

/** All of it, at once. */
export function writeText(descriptor: number, text: string): void {
  writeSync(descriptor, text);
}
