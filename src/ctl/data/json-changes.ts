/** Two JSON values compared field by field. */

import { jsonChangesMax, jsonDepthMax } from './limits.js';

/** One field; a side that is undefined has no such field. */
export interface FieldChange {
  /** `spec.ports[0].name`; '' is the value itself. */
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * What differs. Undefined: at least one is no JSON, or they are too deep or differ in too much, or
 * only in how they are written; then they are texts.
 */
export function jsonChanges(before: Buffer, after: Buffer): readonly FieldChange[] | undefined {
  const a = parsed(before);
  const b = parsed(after);
  if (a === undefined || b === undefined) return undefined;
  const found: FieldChange[] = [];
  const ended = compare(a.value, b.value, '', 0, found);
  return ended && found.length > 0 ? found : undefined;
}

/** Objects and arrays only: other values are read best as they are. */
function parsed(bytes: Buffer): { readonly value: unknown } | undefined {
  const first = bytes[0];
  if (first !== 0x7b && first !== 0x5b) return undefined;
  try {
    return { value: JSON.parse(bytes.toString('utf8')) };
  } catch {
    return undefined;
  }
}

/** False: there is too much of it. */
function compare(
  a: unknown,
  b: unknown,
  path: string,
  depth: number,
  found: FieldChange[],
): boolean {
  if (depth > jsonDepthMax || found.length > jsonChangesMax) return false;
  if (Array.isArray(a) && Array.isArray(b)) {
    const length = Math.max(a.length, b.length);
    for (let i = 0; i < length; i += 1) {
      if (!compare(a[i], b[i], `${path}[${i}]`, depth + 1, found)) return false;
    }
    return true;
  }
  if (isObject(a) && isObject(b)) {
    for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const inner = path === '' ? step(name) : `${path}.${step(name)}`;
      if (!compare(own(a, name), own(b, name), inner, depth + 1, found)) return false;
    }
    return true;
  }
  if (!Object.is(a, b)) found.push({ path, before: a, after: b });
  return true;
}

/** A name that could be taken for several is in quotes. */
function step(name: string): string {
  return /^[\w$/@:-]+$/.test(name) ? name : JSON.stringify(name);
}

function own(value: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
