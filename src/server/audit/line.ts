/**
 * One line of the audit: JSON, without values, without passwords, of bounded length. Put together
 * by hand: most of a line is text that needs no escapes, and JSON.stringify takes twice as long.
 */

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
  const { about, keys } = asked;
  const { code, message, revision, tookMs } = outcome;
  let line = `{"ts":"${timeText(atMs)}"`;
  if (user !== '') line += `,"user":${quoted(user)}`;
  if (commonName !== '') line += `,"cn":${quoted(commonName)}`;
  line += `,"peer":${quoted(address)},"method":"${method}"`;
  if (keys.length > 0) line += `,"keys":[${keysText(keys)}]`;
  if (keys.length > auditKeysMax) line += `,"keys left out":${keys.length - auditKeysMax}`;
  for (const name in about) line += `,"${name}":${JSON.stringify(about[name])}`;
  line += `,"code":"${code}"`;
  if (message !== '') line += `,"error":${quoted(message)}`;
  if (revision > 0) line += `,"revision":${revision}`;
  return `${line},"ms":${Math.round(tookMs * 1000) / 1000}}\n`;
}

function keysText(keys: readonly AskedKey[]): string {
  let text = '';
  for (let i = 0; i < keys.length && i < auditKeysMax; i += 1) {
    const { end, key, op } = keys[i] as AskedKey;
    text += `${i === 0 ? '' : ','}{"op":"${op}","key":${quoted(cut(key))}`;
    text += end === '' ? '}' : `,"end":${quoted(cut(end))}}`;
  }
  return text;
}

/** A key that is longer is a value in disguise, or a mistake. */
function cut(key: string): string {
  if (key.length <= auditKeyBytesMax) return textOfKey(key);
  return `${textOfKey(key.slice(0, auditKeyBytesMax))}... (${key.length} bytes)`;
}

/** Printable ASCII but the quote and the backslash. */
const needsNoEscape = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return needsNoEscape.test(text) ? `"${text}"` : JSON.stringify(text);
}

let lastMs = Number.NaN;
let lastText = '';

/** Many calls end in the same millisecond. */
function timeText(atMs: number): string {
  const ms = Math.floor(atMs);
  if (ms !== lastMs) {
    lastMs = ms;
    lastText = new Date(ms).toISOString();
  }
  return lastText;
}
