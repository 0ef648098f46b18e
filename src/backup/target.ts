/**
 * Where backups are: objects with names, in folders one deep. A directory and S3 are two
 * (directory-target.ts, s3/); what can be done with one is as little as both can do.
 */

import type { Clock, Disk } from '../common/index.js';

/** All names are `folder/name`, of letters, digits, dots and dashes. */
export interface BackupTarget {
  /** For messages; has no secrets. */
  readonly description: string;
  /** Names of all objects that are whole, sorted. */
  list(): Promise<readonly string[]>;
  /** The object in pieces. Throws StorageError if there is none. */
  read(name: string): AsyncIterable<Buffer>;
  /**
   * Writes an object that is not there yet: all of it, durably, or nothing that `list` shows. What
   * a crash left behind is removed by `sweep`. Rejects with the reason of `signal`, and with what
   * `chunks` throws.
   */
  write(name: string, chunks: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>;
  /** No error if it is missing. */
  remove(name: string): Promise<void>;
  /**
   * Removes what interrupted calls of `write` have left, where `isLeftover` says yes to the name
   * that it was to have; and folders without anything. Resolves with what was removed.
   */
  sweep(isLeftover: (name: string) => boolean): Promise<readonly string[]>;
}

/** Where S3 is and who we are there; what is '' comes from `AWS_*` variables. */
export interface S3Settings {
  readonly endpoint: string;
  readonly region: string;
}

/** What a target needs of the outside. */
export interface TargetPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  /** For `AWS_*`. */
  readonly env: Readonly<Record<string, string | undefined>>;
}
