/**
 * Keys and values for people: JSON over several lines, Kubernetes' objects by what they are, text
 * as it is, and of other bytes the first of them.
 */

import { isUtf8 } from 'node:buffer';
import { idToHex, type KeyString, keyToBytes } from '../../common/index.js';
import { goQuotedBytes, type Paint } from '../print/index.js';
import type { KeyAndValue } from './key-value.js';
import { kubernetesObject } from './kubernetes.js';

/** Bytes of a binary value that are shown. */
const shownBytesMax = 64;

/** Characters that would do something to a terminal; line ends and tabs may. */
const controls = /[^\P{Cc}\t\n]/u;

/** A key and its value on lines of their own. */
export function prettyKeyValue(kv: KeyAndValue, paint: Paint): string {
  const lease = kv.lease === 0n ? '' : `, lease ${idToHex(kv.lease)}`;
  const facts = paint.dim(`  revision ${kv.modRevision}, version ${kv.version}${lease}`);
  return `${prettyKey(kv.key, paint)}${facts}\n${prettyValue(kv.value, paint)}\n`;
}

/** A key, quoted if it holds what can't be seen. */
export function prettyKey(key: KeyString, paint: Paint): string {
  const bytes = keyToBytes(key);
  const text = isText(bytes) && !/[\n\t]/.test(key) ? bytes.toString('utf8') : goQuotedBytes(bytes);
  return paint.bold(paint.cyan(text));
}

/** A value by what it is. */
export function prettyValue(value: Buffer, paint: Paint): string {
  if (value.length === 0) return paint.dim('(empty)');
  const object = kubernetesObject(value);
  if (object !== undefined) {
    const { kind, apiVersion, namespace, name } = object;
    const where = namespace === '' ? name : `${namespace}/${name}`;
    const bytes = paint.dim(`(protobuf, ${value.length} bytes)`);
    return `${paint.magenta(kind)} ${apiVersion} ${paint.bold(where)} ${bytes}`;
  }
  if (!isText(value)) {
    const more = value.length > shownBytesMax ? '…' : '';
    const shown = goQuotedBytes(value.subarray(0, shownBytesMax)).slice(1, -1);
    return `${shown}${more} ${paint.dim(`(${value.length} bytes)`)}`;
  }
  const text = value.toString('utf8');
  return /^\s*[[{]/.test(text) ? prettyJson(text, paint) : text;
}

function isText(bytes: Buffer): boolean {
  return isUtf8(bytes) && !controls.test(bytes.toString('utf8'));
}

/** JSON with an indent; as it is, if it is none, or if numbers would not stay what they are. */
function prettyJson(text: string, paint: Paint): string {
  try {
    const value: unknown = JSON.parse(text);
    if (JSON.stringify(value) !== withoutSpace(text)) return text;
    return colouredJson(JSON.stringify(value, null, 2), paint);
  } catch {
    return text;
  }
}

/** Without the space between tokens. */
function withoutSpace(json: string): string {
  return json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_all, string: string | undefined) => {
    return string ?? '';
  });
}

function colouredJson(json: string, paint: Paint): string {
  const tokens =
    /("(?:[^"\\]|\\.)*")(:?)|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
  return json.replace(tokens, (all, string: string | undefined, colon: string | undefined) => {
    if (string === undefined) return paint.yellow(all);
    return colon === ':' ? `${paint.blue(string)}:` : paint.green(string);
  });
}
