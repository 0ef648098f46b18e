/**
 * What was changed when: the events of the configuration's keys since the last compaction, grouped
 * by revision.
 *
 * A watch does not say when the past is over, so it is known before what the last event must be:
 * the newest key, and the deletion of what was there with it and is not there any more. (Every
 * change through this client writes the version key, so it is never missed.)
 */

import type { Revision } from '../../common/index.js';
import { isEtcdError } from '../errors.js';
import type { KeyValue } from '../keyspace/index.js';
import { historyVersionsDefault } from '../limits.js';
import type { WatchBatch } from '../watch/index.js';
import type { Layout } from './layers.js';
import type { ConfigEdit, ConfigVersion, HistoryOptions } from './types.js';
import { callOptionsOf, counts, readAll, type WriteContext } from './write.js';

export async function history<In, Out>(
  context: WriteContext<In, Out>,
  options: HistoryOptions,
): Promise<readonly ConfigVersion[]> {
  const { limit = historyVersionsDefault } = options;
  let from = options.fromRevision ?? 1;
  for (;;) {
    try {
      return await readHistory(context, from, limit, options);
    } catch (error) {
      if (!isEtcdError(error, 'COMPACTED')) throw error;
      // Of what is left: the state at that revision can be read, changes only after it.
      const { compactRevision } = error;
      if (compactRevision === undefined || compactRevision < from) throw error;
      from = compactRevision + 1;
    }
  }
}

async function readHistory<In, Out>(
  context: WriteContext<In, Out>,
  from: Revision,
  limit: number,
  options: HistoryOptions,
): Promise<readonly ConfigVersion[]> {
  const { kv, layout } = context;
  const callOptions = callOptionsOf(options);
  const now = await readAll(context, callOptions);
  const last = [...now.entries.values()].reduce((most, kv) => Math.max(most, kv.modRevision), 0);
  const pending = new Set<string>();
  if (last > 0) {
    const then =
      last === now.revision ? now : await readAll(context, { ...callOptions, revision: last });
    for (const key of then.entries.keys()) if (!now.entries.has(key)) pending.add(key);
  }
  if (last < from && pending.size === 0) return [];
  const { signal } = options;
  const versions: ConfigVersion[] = [];
  await using watcher = kv.watch(
    { prefix: layout.prefix },
    { fromRevision: from, prev: true, ...(signal === undefined ? {} : { signal }) },
  );
  for await (const batch of watcher.batches()) {
    const version = versionOf(layout, batch);
    if (version !== undefined) versions.push(version);
    if (versions.length > limit) versions.shift();
    if (batch.revision > last) {
      for (const event of batch.events) if (event.type === 'delete') pending.delete(event.key);
    }
    if (batch.revision >= last && pending.size === 0) break;
  }
  signal?.throwIfAborted();
  return versions;
}

/** Undefined if it did not concern this node. */
function versionOf(
  layout: Layout,
  { revision, events }: WatchBatch<Buffer, { readonly prev: true }>,
): ConfigVersion | undefined {
  const edits: ConfigEdit[] = [];
  let note: { readonly author?: string; readonly comment?: string } = {};
  for (const event of events) {
    if (!counts(layout, event.key)) continue;
    if (event.key === layout.versionKey) {
      if (event.type === 'put') note = noteOf(event.kv);
      continue;
    }
    const at = layout.layers.find(({ prefix }) => event.key.startsWith(prefix));
    if (at === undefined) continue;
    edits.push({
      layer: at.layer,
      of: at.of,
      property: event.key.slice(at.prefix.length),
      before: event.prev?.value.toString(),
      after: event.type === 'put' ? event.value.toString() : undefined,
    });
  }
  if (edits.length === 0) return undefined;
  return { revision, edits, author: note.author, comment: note.comment };
}

function noteOf({ value }: KeyValue<Buffer>): {
  readonly author?: string;
  readonly comment?: string;
} {
  try {
    const parsed: unknown = JSON.parse(value.toString());
    if (typeof parsed !== 'object' || parsed === null) return {};
    const { author, comment } = parsed as { author?: unknown; comment?: unknown };
    return {
      ...(typeof author === 'string' ? { author } : {}),
      ...(typeof comment === 'string' ? { comment } : {}),
    };
  } catch {
    return {}; // somebody else's
  }
}
