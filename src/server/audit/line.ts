/** One line of the audit: JSON, without values, without passwords, of bounded length. */

import { auditKeyBytesMax, auditKeysMax } from '../../common/index.js';
import { type Asked, type AskedKey, textOfKey } from './asked.js';

/** How it ended. */
export interface Outcome {
  /** gRPC's name of the code. */
  readonly code: string;
  /** Of the error; '' without one. */
  readonly message: string;
  /** In the header of the answer; 0: there was none. */
  readonly revision: number;
  readonly tookMs: number;
}

export interface AuditRecord {
  /** On the wall clock. */
  readonly atMs: number;
  /** '': nobody said who it is, or nobody asks. */
  readonly user: string;
  /** Of the certificate; '' without one. */
  readonly commonName: string;
  readonly address: string;
  readonly method: string;
  readonly asked: Asked;
  readonly outcome: Outcome;
}

export function auditLine(record: AuditRecord): string {
  const { address, asked, atMs, commonName, method, outcome, user } = record;
  const { code, message, revision, tookMs } = outcome;
  const { keys } = asked;
  const line: Record<string, unknown> = { ts: new Date(atMs).toISOString() };
  if (user !== '') line.user = user;
  if (commonName !== '') line.cn = commonName;
  line.peer = address;
  line.method = method;
  if (keys.length > 0) line.keys = keys.slice(0, auditKeysMax).map(keyOf);
  if (keys.length > auditKeysMax) line['keys left out'] = keys.length - auditKeysMax;
  Object.assign(line, asked.about);
  line.code = code;
  if (message !== '') line.error = message;
  if (revision > 0) line.revision = revision;
  line.ms = Math.round(tookMs * 1000) / 1000;
  return `${JSON.stringify(line)}\n`;
}

function keyOf({ end, key, op }: AskedKey): Readonly<Record<string, string>> {
  return end === '' ? { op, key: cut(key) } : { op, key: cut(key), end: cut(end) };
}

/** A key that is longer is a value in disguise, or a mistake. */
function cut(key: string): string {
  const shown = textOfKey(key.slice(0, auditKeyBytesMax));
  return key.length > auditKeyBytesMax ? `${shown}... (${key.length} bytes)` : shown;
}
