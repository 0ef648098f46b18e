/** --audit-log and what belongs to it; the rules are YAML (docs/observe.md). */

import { auditRulesMax, type KeyString } from '../../common/index.js';
import { readYaml } from './config-file.js';
import { readFlagFile } from './config-tls.js';
import { type Flags, type ReadFile, textOf } from './flags.js';
import { quote, UsageError } from './usage-error.js';

/** Which calls of those that a rule is for are written down. */
export type AuditWhat = 'none' | 'reads' | 'writes' | 'all';

const whats: readonly string[] = ['none', 'reads', 'writes', 'all'];

/** What is left out fits everything. */
export interface AuditRule {
  /** Names of users, or common names of certificates where there are no users; empty: any. */
  readonly users: readonly string[];
  readonly prefixes: readonly KeyString[];
  /** `KV/Put`, or `Auth/*`. */
  readonly methods: readonly string[];
  readonly log: AuditWhat;
}

export interface AuditConfig {
  readonly path: string;
  /** The first that fits decides. */
  readonly rules: readonly AuditRule[];
  /** Where none fits. */
  readonly otherwise: AuditWhat;
  /** At which the file is put aside. */
  readonly sizeBytesMax: number;
  /** Of those that are kept; 0: all. */
  readonly filesMax: number;
}

const megabyte = 1024 * 1024;

/** Undefined: nothing is written down. Throws {@link UsageError}. */
export function readAudit(flags: Flags, readFile: ReadFile): AuditConfig | undefined {
  const path = flags.text('audit-log');
  const rulesPath = flags.text('audit-rules');
  if (path === '') {
    if (rulesPath === '') return undefined;
    throw new UsageError('--audit-rules needs --audit-log, the file to write to');
  }
  const { otherwise, rules } =
    rulesPath === ''
      ? { otherwise: 'writes' as const, rules: [] }
      : parseAuditRules(rulesPath, textOf(readFlagFile('audit-rules', rulesPath, readFile)));
  const sizeBytesMax = flags.number('audit-log-max-size') * megabyte;
  return { path, rules, otherwise, sizeBytesMax, filesMax: flags.number('audit-log-max-files') };
}

/** Throws {@link UsageError}: what is not understood might leave out what must not be. */
export function parseAuditRules(
  path: string,
  text: string,
): Pick<AuditConfig, 'otherwise' | 'rules'> {
  const fail = (why: string): never => {
    throw new UsageError(`audit rules ${quote(path)}: ${why}`);
  };
  const warnings: string[] = [];
  const {
    otherwise = 'writes',
    rules = [],
    ...others
  } = readYaml(`audit rules ${quote(path)}`, text, warnings);
  const [warning] = warnings;
  if (warning !== undefined) throw new UsageError(warning);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) fail(`unknown setting ${quote(unknown)}`);
  if (!isWhat(otherwise)) return fail(`otherwise must be one of ${whats.join(', ')}`);
  if (!Array.isArray(rules)) return fail('rules must be a list');
  if (rules.length > auditRulesMax) fail(`there are more than ${auditRulesMax} rules`);
  return { otherwise, rules: rules.map((rule, at) => readRule(rule, `rule #${at + 1}`, fail)) };
}

function readRule(rule: unknown, name: string, fail: (why: string) => never): AuditRule {
  if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) {
    return fail(`${name} must have "log", and may have users, prefixes, methods`);
  }
  const { log, methods, prefixes, users, ...others } = rule as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) fail(`${name}: unknown setting ${quote(unknown)}`);
  if (!isWhat(log)) return fail(`${name}: log must be one of ${whats.join(', ')}`);
  const list = (value: unknown, what: string): string[] => {
    const items = value === undefined ? [] : Array.isArray(value) ? value : [value];
    // An empty list would be for everybody, which is hardly what it looks like.
    if (value !== undefined && items.length === 0) fail(`${name}: ${what} is empty`);
    return items.map((item) =>
      typeof item === 'string' ? item : fail(`${name}: ${what} must be texts; use quotes`),
    );
  };
  const methodList = list(methods, 'methods');
  for (const method of methodList) {
    if (!/^\w+\/(\w+|\*)$/.test(method)) {
      fail(`${name}: ${quote(method)} is no method, as "KV/Put" or "Auth/*"`);
    }
  }
  const keys = list(prefixes, 'prefixes').map((prefix) => Buffer.from(prefix).toString('latin1'));
  return { users: list(users, 'users'), prefixes: keys, methods: methodList, log };
}

function isWhat(value: unknown): value is AuditWhat {
  return typeof value === 'string' && whats.includes(value);
}
