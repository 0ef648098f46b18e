/** `kvorum backup TARGET`: one backup now, a full one, or what has changed since the newest. */

import type { Backup, Catalog } from '../../backup/index.js';
import type { CommandContext } from '../command/index.js';
import { type ClusterFacts, ClusterSource } from './cluster-source.js';
import type { Place } from './place.js';
import { backupJson, bytesText, printResult } from './shown-backup.js';
import { isCompacted } from './watched-changes.js';

/** Takes it; what an interrupted one left is removed first. */
export async function takeBackup(
  context: CommandContext,
  place: Place,
  incremental: boolean,
): Promise<void> {
  const { io } = context;
  const source = new ClusterSource(await context.client(), io.interrupted);
  const catalog = await place.catalog();
  for (const name of await place.writer.sweep(catalog))
    io.stderr(`removed what was left: ${name}\n`);
  const facts = await source.facts();
  if (incremental) {
    const written = await changesSince(context, place, source, facts, catalog);
    if (typeof written !== 'string') return await tell(context, written);
    io.stderr(`a full backup is taken: ${written}\n`);
  }
  const full = await source.fullFacts(facts);
  const image = source.snapshot(progress(context));
  await tell(context, await place.writer.full(full, image, io.interrupted));
}

/** The backup, continued; or why it can't be. */
async function changesSince(
  { io }: CommandContext,
  { key, writer }: Place,
  source: ClusterSource,
  facts: ClusterFacts,
  { backups }: Catalog,
): Promise<Backup | string> {
  const { auth, clusterId, revision } = facts;
  const backup = backups.filter(({ manifest }) => manifest.clusterId === clusterId).at(-1);
  if (backup === undefined) return 'there is none of this cluster';
  const { manifest, missing } = backup;
  if (missing.length > 0) return `${missing[0]} is missing`;
  if (manifest.key !== key?.name) return 'the newest has another key';
  if (manifest.auth !== auth) return 'users or roles have changed';
  const { newest } = manifest;
  if (newest.revision > revision) return 'the cluster has been restored';
  if ((await source.digest(newest.revision)) !== newest.digest) {
    return 'history is another one, or was compacted';
  }
  // Nothing has changed: what there is says all.
  if (newest.revision === revision) return backup;
  try {
    const lines = source.lines(newest.revision + 1, revision, io.clock.wallMs());
    return await writer.changes(backup, lines, io.interrupted);
  } catch (error) {
    if (isCompacted(error)) return 'history was compacted';
    throw error;
  }
}

/** How far it is, on a terminal. */
function progress({ io, pretty }: CommandContext): (remainingBytes: number) => void {
  if (!pretty) return () => {};
  let totalBytes = 0;
  let told = -1;
  return (remainingBytes) => {
    totalBytes = Math.max(totalBytes, remainingBytes);
    const percent = totalBytes === 0 ? 100 : Math.floor(100 * (1 - remainingBytes / totalBytes));
    if (percent === told) return;
    told = percent;
    const end = percent === 100 ? '\n' : '';
    io.stderr(`\r${bytesText(totalBytes)} of the store: ${percent} %${end}`);
  };
}

function tell(context: CommandContext, backup: Backup): Promise<void> {
  const { chain, changes, full, newest } = backup.manifest;
  const last = changes.at(-1);
  const what = last === undefined ? 'full snapshot' : `changes from revision ${last.from}`;
  const size = bytesText((last ?? full).bytes);
  const text = `${chain}: ${what}, up to revision ${newest.revision}, ${size}\n`;
  return printResult(context, text, backupJson(backup));
}
