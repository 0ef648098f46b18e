/** A backup as it is shown: a line for people, an object for programs. */

import { type Backup, filesOf, type Manifest, utcText } from '../../backup/index.js';
import type { CommandContext } from '../command/index.js';
import { CommandError, exit } from '../command/index.js';
import { type Column, inColumns } from '../show/index.js';

const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** `1.2 MB`. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Of all its files. */
export function bytesOf(manifest: Manifest): number {
  return filesOf(manifest).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** For programs; names are part of what the command promises. */
export function backupJson({ manifest }: Backup): Readonly<Record<string, unknown>> {
  const { changes, clusterId, full, key, newest, writtenMs } = manifest;
  return {
    backup: manifest.chain,
    clusterId,
    startedAt: new Date(full.startedMs).toISOString(),
    writtenAt: new Date(writtenMs).toISOString(),
    fromRevision: full.revision,
    revision: newest.revision,
    files: changes.length + 1,
    bytes: bytesOf(manifest),
    key: key ?? null,
  };
}

/** A table of backups, the newest last. */
export function backupTable(backups: readonly Backup[]): string {
  const manifests = backups.map(({ manifest }) => manifest);
  const lines = inColumns(columns, manifests, Number.POSITIVE_INFINITY);
  return `${lines.join('\n')}\n`;
}

const columns: ReadonlyArray<Column<Manifest>> = [
  { title: 'BACKUP', of: ({ chain }) => chain },
  { title: 'UNTIL', of: ({ writtenMs }) => utcText(writtenMs) },
  { title: 'REVISIONS', of: ({ full, newest }) => `${full.revision}-${newest.revision}` },
  { title: 'FILES', of: ({ number }) => String(number + 1) },
  { title: 'SIZE', of: (manifest) => bytesText(bytesOf(manifest)) },
  { title: 'ENCRYPTED', of: ({ key }) => (key === undefined ? 'no' : `key ${key}`) },
];

/** The text, or with `-w json` the object on a line. */
export async function printResult(
  { global, io }: CommandContext,
  text: string,
  json: unknown,
): Promise<void> {
  const format = global['write-out'];
  if (format === 'json') return void (await io.stdout(`${JSON.stringify(json)}\n`));
  if (format === 'simple' || format === 'table') return void (await io.stdout(text));
  throw new CommandError(`${format} is no format of this command`, exit.badFeature);
}
