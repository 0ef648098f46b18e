/**
 * Changing a configuration: what it would become is validated against the state that was read, and
 * written in one transaction that only happens if that state is still the same. Two writers can't
 * both be right about a state that neither has seen.
 */

import type { Revision } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import { EtcdClientError, invalidOption } from '../errors.js';
import type { Bytes, KeyValue, StandardSchema } from '../keyspace/index.js';
import type { Condition, Kv, Op } from '../kv/index.js';
import { configEditsMax, modifyAttemptsDefault } from '../limits.js';
import { assemble, type Entries, issuesError, judge, type Layout } from './layers.js';
import type { ConfigWriteOptions, ConfigWritten } from './types.js';

export interface WriteContext<In, Out> {
  readonly kv: Kv<Buffer, Bytes>;
  readonly layout: Layout;
  readonly schema: StandardSchema<In, Out>;
  readonly defaults: object;
}

/** Key -> its new JSON; undefined: gone. Keys that are what they should be may be in it. */
export type Edits = ReadonlyMap<string, string | undefined>;

/** Reads, lets `plan` say what to write, and writes; again if others wrote meanwhile. */
export async function write<In, Out>(
  context: WriteContext<In, Out>,
  plan: (entries: Entries) => Edits | Promise<Edits>,
  options: ConfigWriteOptions,
): Promise<ConfigWritten> {
  const { attemptsMax = modifyAttemptsDefault, ifRevision } = options;
  const callOptions = callOptionsOf(options);
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const { entries, revision } = await readAll(context, callOptions);
    if (ifRevision !== undefined && newest(entries) > ifRevision) throw conflict(context, attempt);
    const edits = effective(entries, await plan(entries));
    if (edits.size === 0) return { revision, changed: [] };
    if (edits.size > configEditsMax)
      throw invalidOption(`more than ${configEditsMax} keys in one change`);
    await check(context, entries, edits);
    const done = await commit(context, entries, revision, edits, options);
    if (done !== undefined) return { revision: done, changed: [...edits.keys()] };
    if (ifRevision !== undefined) break;
  }
  throw conflict(context, attemptsMax);
}

/** The whole configuration as it was at a revision (of the layers of this node). */
export async function readAll<In, Out>(
  { kv, layout }: WriteContext<In, Out>,
  options: CallOptions & { readonly revision?: Revision },
): Promise<{ readonly entries: Entries; readonly revision: Revision }> {
  const entries = new Map<string, KeyValue<Buffer>>();
  const { kvs, revision } = await kv.range({ prefix: layout.prefix }, options);
  for (const entry of kvs) if (counts(layout, entry.key)) entries.set(entry.key, entry);
  return { entries, revision };
}

/** Whether the key is of this node's configuration, or its version. */
export function counts({ layers, versionKey }: Layout, key: string): boolean {
  return key === versionKey || layers.some(({ prefix }) => key.startsWith(prefix));
}

export function callOptionsOf({ signal, timeoutMs, metadata }: CallOptions): CallOptions {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

function effective(entries: Entries, edits: Edits): Edits {
  return new Map([...edits].filter(([key, json]) => entries.get(key)?.value.toString() !== json));
}

/** What would come of it must be valid for this node. */
async function check<In, Out>(
  { layout, defaults, schema }: WriteContext<In, Out>,
  entries: Entries,
  edits: Edits,
): Promise<void> {
  const after = new Map<string, Pick<KeyValue<Buffer>, 'value'>>(entries);
  for (const [key, json] of edits) {
    if (json === undefined) after.delete(key);
    else after.set(key, { value: Buffer.from(json) });
  }
  const judged = await judge(schema, assemble(layout, defaults, after));
  if (!judged.ok) throw issuesError('ENCODE_FAILED', layout.prefix, judged.issues);
}

/** The revision of the change; undefined if the state is not what was read any more. */
async function commit<In, Out>(
  { kv, layout }: WriteContext<In, Out>,
  entries: Entries,
  revision: Revision,
  edits: Edits,
  options: ConfigWriteOptions,
): Promise<Revision | undefined> {
  const conditions: Condition[] = [
    // Other writers of this kind, whatever they did.
    kv.when(layout.versionKey).modRevision('=', entries.get(layout.versionKey)?.modRevision ?? 0),
    // Any writer at all that set something in these layers.
    ...layout.layers.map(({ prefix }) => kv.whenAll({ prefix }).modRevision('<', revision + 1)),
  ];
  const ops: Op<unknown>[] = [];
  for (const [key, json] of edits) {
    conditions.push(kv.when(key).modRevision('=', entries.get(key)?.modRevision ?? 0));
    ops.push(json === undefined ? kv.ops.delete(key) : kv.ops.put(key, json));
  }
  const { author, comment } = options;
  ops.push(kv.ops.put(layout.versionKey, JSON.stringify({ author, comment })));
  const txn = kv
    .txn()
    .if(...conditions)
    .then(...ops);
  const done = await txn.commit(callOptionsOf(options));
  return done.ok ? done.revision : undefined;
}

function newest(entries: Entries): Revision {
  let revision = 0;
  for (const { modRevision } of entries.values()) revision = Math.max(revision, modRevision);
  return revision;
}

function conflict<In, Out>({ layout }: WriteContext<In, Out>, attempts: number): EtcdClientError {
  return new EtcdClientError({
    code: 'ABORTED',
    reason: 'CONFLICT',
    outcome: 'failed',
    message: `the configuration below ${JSON.stringify(layout.prefix)} was changed by others`,
    attempts,
  });
}
