/** `--backup-dir` and what belongs to it. */

import {
  type BackupKey,
  noRetention,
  parseKey,
  parseRetention,
  type Retention,
  type S3Settings,
} from '../../backup/index.js';
import { StorageError } from '../../common/index.js';
import { readFlagFile } from './config-tls.js';
import { bytesOf, type Flags, type ReadFile } from './flags.js';
import { quote, UsageError } from './usage-error.js';

/** What the leader backs up, and where. */
export interface BackupConfig {
  /** A directory, or `s3://bucket/prefix`. */
  readonly place: string;
  readonly s3: S3Settings;
  readonly intervalMs: number;
  /** A full snapshot after so many intervals. */
  readonly fullEvery: number;
  readonly retention: Retention;
  /** Undefined: what is written is not encrypted. */
  readonly key: BackupKey | undefined;
}

/** Undefined without `--backup-dir`. Throws UsageError. */
export function readBackup(flags: Flags, readFile: ReadFile): BackupConfig | undefined {
  const place = flags.text('backup-dir');
  if (place === '') return undefined;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(place) && !/^s3:\/\/[a-z0-9]/.test(place)) {
    throw new UsageError(`--backup-dir ${quote(place)} must be a directory, or s3://bucket/prefix`);
  }
  return {
    place,
    s3: { endpoint: flags.text('backup-s3-endpoint'), region: flags.text('backup-s3-region') },
    intervalMs: flags.number('backup-schedule'),
    fullEvery: flags.number('backup-full-every'),
    retention: retentionOf(flags.text('backup-retention')),
    key: keyOf(flags.text('backup-key-file'), readFile),
  };
}

function retentionOf(text: string): Retention {
  if (text.trim() === '') return noRetention;
  const retention = parseRetention(text);
  if (retention !== undefined) return retention;
  throw new UsageError(
    `--backup-retention ${quote(text)} must be numbers to keep, ` +
      "as 'last=7,hourly=24,daily=30,weekly=8,monthly=12'",
  );
}

function keyOf(path: string, readFile: ReadFile): BackupKey | undefined {
  if (path === '') return undefined;
  try {
    return parseKey(bytesOf(readFlagFile('backup-key-file', path, readFile)), path);
  } catch (error) {
    if (error instanceof StorageError) throw new UsageError(`--backup-key-file: ${error.message}`);
    throw error;
  }
}
