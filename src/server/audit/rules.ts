/**
 * Which calls are written down. For each key of a call the first rule that fits decides; a call is
 * written, whole, if one of its keys is. A rule for a prefix fits a range of keys that is inside of
 * it. One that only touches the prefix is not kept out of the log by that rule, but it may be
 * brought in: a range across secret keys and others is no way around the audit.
 */

import type { KeyString } from '../../common/index.js';
import type { AuditConfig, AuditRule, AuditWhat } from '../options/index.js';
import type { Asked, AskedKey, AuditKind } from './asked.js';

/** Who calls, and what. */
export interface Asking {
  readonly user: string;
  /** `KV/Put`. */
  readonly method: string;
}

export class AuditRules {
  readonly #rules: readonly AuditRule[];
  readonly #otherwise: AuditWhat;

  constructor({ otherwise, rules }: Pick<AuditConfig, 'otherwise' | 'rules'>) {
    this.#rules = rules;
    this.#otherwise = otherwise;
  }

  /** False: no call of the method is ever written, whoever makes it. */
  mayWrite(method: string, kinds: readonly AuditKind[]): boolean {
    const whats = this.#rules.filter((rule) => isFor(rule, method)).map(({ log }) => log);
    return [...whats, this.#otherwise].some((what) => kinds.some((kind) => includes(what, kind)));
  }

  writes(asking: Asking, { keys, kind }: Asked): boolean {
    if (keys.length === 0) return this.#writesKey(asking, kind, undefined);
    return keys.some((key) => this.#writesKey(asking, key.kind, key));
  }

  #writesKey({ method, user }: Asking, kind: AuditKind, key: AskedKey | undefined): boolean {
    for (const rule of this.#rules) {
      if (!isFor(rule, method)) continue;
      if (rule.users.length > 0 && !rule.users.includes(user)) continue;
      const fit = fitOf(rule.prefixes, key);
      if (fit === 'none') continue;
      const writes = includes(rule.log, kind);
      if (writes || fit === 'whole') return writes;
    }
    return includes(this.#otherwise, kind);
  }
}

function isFor({ methods }: AuditRule, method: string): boolean {
  return methods.length === 0 || methods.some((one) => isMethod(one, method));
}

function isMethod(pattern: string, method: string): boolean {
  return pattern.endsWith('/*') ? method.startsWith(pattern.slice(0, -1)) : pattern === method;
}

function includes(what: AuditWhat, kind: AuditKind): boolean {
  return what === 'all' || what === (kind === 'read' ? 'reads' : 'writes');
}

function fitOf(
  prefixes: readonly KeyString[],
  key: AskedKey | undefined,
): 'whole' | 'part' | 'none' {
  if (prefixes.length === 0) return 'whole';
  if (key === undefined) return 'none';
  let fit: 'part' | 'none' = 'none';
  for (const prefix of prefixes) {
    const one = fitIn(prefix, key);
    if (one === 'whole') return one;
    if (one === 'part') fit = one;
  }
  return fit;
}

function fitIn(prefix: KeyString, { key, end }: AskedKey): 'whole' | 'part' | 'none' {
  const isInside = key.startsWith(prefix);
  if (end === '') return isInside ? 'whole' : 'none';
  // etcd's range to the end of all keys.
  const isOpen = end === '\0';
  const after = endOf(prefix);
  if (isInside && (after === '' || (!isOpen && end <= after))) return 'whole';
  const touches = (isOpen || end > prefix) && (after === '' || key < after);
  return touches ? 'part' : 'none';
}

/** The first key behind all with the prefix; '' if there is none. Keys have a byte a character. */
function endOf(prefix: KeyString): KeyString {
  let last = prefix.length - 1;
  while (last >= 0 && prefix.charCodeAt(last) === 0xff) last -= 1;
  if (last < 0) return '';
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1);
}
