/**
 * A line of `export` and `import`: a JSON object with a key and a value, as text where they are
 * UTF-8, else as base64. A key of a lease has its TTL; 0 says that the lease had ended.
 */

import type { KeyString } from '../../common/index.js';
import type { KeyValue } from '../../proto/index.js';
import { CommandError } from '../command/index.js';
import { keyField, leaseField, textField } from './text.js';

/** What an import needs of a line. */
export interface ImportedKey {
  readonly key: KeyString;
  readonly value: Buffer;
  /** The id in the store it came from: keys with the same one get the same new one. */
  readonly lease: string | undefined;
  readonly ttlSeconds: number;
}

/** The line of a key, without its end. */
export function exportedLine(kv: KeyValue, ttlSeconds: number): string {
  const { key, value, createRevision, modRevision, version, lease } = kv;
  return JSON.stringify({
    ...{ ...keyField('key', key), ...textField('value', value) },
    ...{ createRevision, modRevision, version },
    ...leaseField(lease),
    ...(lease === 0n ? {} : { ttl: ttlSeconds }),
  });
}

/** Throws CommandError that names the line. Members that it does not know are passed over. */
export function importedKey(line: Buffer, number: number): ImportedKey {
  const wrong = (what: string) => new CommandError(`line ${number}: ${what}`);
  let record: unknown;
  try {
    record = JSON.parse(line.toString('utf8'));
  } catch (error) {
    throw wrong(`no JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  if (typeof record !== 'object' || record === null) throw wrong('no JSON object');
  const fields = record as Readonly<Record<string, unknown>>;
  const key = bytesOf(fields, 'key');
  if (key === undefined || key.length === 0) throw wrong('needs a "key" or "keyBase64" with text');
  const value = bytesOf(fields, 'value');
  if (value === undefined) throw wrong('needs a "value" or "valueBase64" with text');
  const { lease, ttl = 0 } = fields;
  if (lease !== undefined && typeof lease !== 'string') throw wrong('"lease" must be a text');
  if (typeof ttl !== 'number' || !Number.isSafeInteger(ttl) || ttl < 0) {
    throw wrong('"ttl" must be a whole number of seconds');
  }
  if (ttl > 0 && lease === undefined) throw wrong('"ttl" needs a "lease"');
  return { key: key.toString('latin1'), value, lease, ttlSeconds: ttl };
}

const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Undefined: it is not there, twice there, or not of its form. */
function bytesOf(fields: Readonly<Record<string, unknown>>, name: string): Buffer | undefined {
  const text = fields[name];
  const base64 = fields[`${name}Base64`];
  if (base64 === undefined) return typeof text === 'string' ? Buffer.from(text, 'utf8') : undefined;
  if (text !== undefined || typeof base64 !== 'string' || !base64Pattern.test(base64)) {
    return undefined;
  }
  return Buffer.from(base64, 'base64');
}
