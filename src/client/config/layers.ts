/** The keys of a configuration, and what they make together. */

import { EtcdClientError, invalidOption } from '../errors.js';
import type { KeyValue, SchemaIssue, StandardSchema } from '../keyspace/index.js';
import type { ConfigLayer, ConfigSource } from './types.js';

/** One layer that counts for a node. */
export interface Layer {
  readonly layer: ConfigLayer;
  /** The group or node; '' for the fleet. */
  readonly of: string;
  /** Before the properties. */
  readonly prefix: string;
}

export interface Layout {
  /** Before everything. */
  readonly prefix: string;
  /** Written by every change: a guard, and the author and comment of the change. */
  readonly versionKey: string;
  /** Later ones replace earlier ones. */
  readonly layers: readonly Layer[];
}

export function layoutOf(prefix: string, group?: string, node?: string): Layout {
  const base = `${named('prefix', prefix)}/`;
  const layers: Layer[] = [{ layer: 'fleet', of: '', prefix: `${base}fleet/` }];
  if (group !== undefined) {
    layers.push({ layer: 'group', of: group, prefix: `${base}group/${named('group', group)}/` });
  }
  if (node !== undefined) {
    layers.push({ layer: 'node', of: node, prefix: `${base}node/${named('node', node)}/` });
  }
  return { prefix: base, versionKey: `${base}version`, layers };
}

/** The layer of this node; INVALID_OPTION if it has none. */
export function layerOf(layout: Layout, wanted: ConfigLayer): Layer {
  const found = layout.layers.find(({ layer }) => layer === wanted);
  if (found === undefined) throw invalidOption(`this node has no layer ${wanted}`);
  return found;
}

export type Entries = ReadonlyMap<string, KeyValue<Buffer>>;
type Values = ReadonlyMap<string, Pick<KeyValue<Buffer>, 'value'>>;

/** What the layers are together. */
export interface Assembled {
  readonly input: Readonly<Record<string, unknown>>;
  readonly sources: Readonly<Record<string, ConfigSource>>;
  /** Values that are not JSON. */
  readonly issues: readonly SchemaIssue[];
}

export function assemble(layout: Layout, defaults: object, entries: Values): Assembled {
  const values = new Map<string, unknown>(Object.entries(defaults));
  const sources = new Map<string, ConfigSource>();
  for (const property of values.keys()) sources.set(property, 'defaults');
  const issues: SchemaIssue[] = [];
  for (const { layer, prefix } of layout.layers) {
    for (const [key, { value }] of entries) {
      if (!key.startsWith(prefix)) continue;
      const property = key.slice(prefix.length);
      try {
        values.set(property, JSON.parse(value.toString('utf8')));
        sources.set(property, layer);
      } catch {
        issues.push({ message: `the value of ${key} is not JSON`, path: [property] });
      }
    }
  }
  return { input: Object.fromEntries(values), sources: Object.fromEntries(sources), issues };
}

/** The properties of one layer; those that are not JSON are left out. */
export function propertiesOf({ prefix }: Layer, entries: Entries): Record<string, unknown> {
  const properties: Array<[string, unknown]> = [];
  for (const [key, { value }] of entries) {
    if (!key.startsWith(prefix)) continue;
    try {
      properties.push([key.slice(prefix.length), JSON.parse(value.toString('utf8'))]);
    } catch {
      // Whoever replaces it mends it.
    }
  }
  return Object.fromEntries(properties);
}

export type Judged<Out> =
  | { readonly ok: true; readonly value: Out }
  | { readonly ok: false; readonly issues: readonly SchemaIssue[] };

export async function judge<In, Out>(
  schema: StandardSchema<In, Out>,
  assembled: Assembled,
): Promise<Judged<Out>> {
  if (assembled.issues.length > 0) return { ok: false, issues: assembled.issues };
  try {
    const result = await schema['~standard'].validate(assembled.input);
    if (result.issues !== undefined) return { ok: false, issues: result.issues };
    return { ok: true, value: result.value };
  } catch (error) {
    // A schema that throws refuses, too.
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, issues: [{ message }] };
  }
}

export function issuesError(
  reason: 'ENCODE_FAILED' | 'DECODE_FAILED',
  prefix: string,
  issues: readonly SchemaIssue[],
): EtcdClientError {
  const texts = issues.map(({ message, path = [] }) => {
    const at = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
    return at === '' ? message : `${at}: ${message}`;
  });
  return new EtcdClientError({
    code: 'INVALID_ARGUMENT',
    reason,
    outcome: 'failed',
    message: `the configuration below ${JSON.stringify(prefix)} is invalid: ${texts.join('; ')}`,
  });
}

function named(what: string, name: string): string {
  if (name === '' || (what !== 'prefix' && name.includes('/'))) {
    throw invalidOption(`${what} must be a name without slashes, not ${JSON.stringify(name)}`);
  }
  return name;
}
