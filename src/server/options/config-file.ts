/**
 * The YAML file of --config-file: the flag names as keys, TLS in two sections of its own, durations
 * as Go writes them (integer nanoseconds) or as people do ("5s"). Facts: C-10.2.
 */

import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import type { FlagSpec } from './flag-spec.js';
import { flagByName } from './flags-table.js';
import { goScalars } from './go-yaml.js';
import { removedFlagRemedy } from './removed-flags.js';
import { didYouMean, quote, UsageError } from './usage-error.js';

/** A setting found in the file, as the text that one would have typed for the flag. */
export interface FileSettings {
  /** Flag name -> text. */
  readonly texts: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** Values that aliases stand for, all in all. */
const maxAliasCount = 100;
/** A file larger than this is not a configuration. */
export const configFileBytesMax = 1024 * 1024;

const clientTls: ReadonlyMap<string, string> = new Map([
  ['cert-file', 'cert-file'],
  ['key-file', 'key-file'],
  ['client-cert-file', 'client-cert-file'],
  ['client-key-file', 'client-key-file'],
  ['client-cert-auth', 'client-cert-auth'],
  ['crl-file', 'client-crl-file'],
  ['trusted-ca-file', 'trusted-ca-file'],
  ['auto-tls', 'auto-tls'],
  ['allowed-cn', 'client-cert-allowed-cn'],
  ['allowed-hostname', 'client-cert-allowed-hostname'],
]);
const peerTls: ReadonlyMap<string, string> = new Map([
  ['cert-file', 'peer-cert-file'],
  ['key-file', 'peer-key-file'],
  ['client-cert-file', 'peer-client-cert-file'],
  ['client-key-file', 'peer-client-key-file'],
  ['client-cert-auth', 'peer-client-cert-auth'],
  ['crl-file', 'peer-crl-file'],
  ['trusted-ca-file', 'peer-trusted-ca-file'],
  ['auto-tls', 'peer-auto-tls'],
  ['allowed-cn', 'peer-cert-allowed-cn'],
  ['allowed-hostname', 'peer-cert-allowed-hostname'],
  ['skip-client-san-verification', 'peer-skip-client-san-verification'],
]);

/** Reads the text of the file at `path`; throws {@link UsageError} naming file and line. */
export function parseConfigFile(path: string, text: string): FileSettings {
  if (Buffer.byteLength(text) > configFileBytesMax) {
    throw new UsageError(`config file ${quote(path)} is larger than ${configFileBytesMax} bytes`);
  }
  const warnings: string[] = [];
  const root = readYaml(`config file ${quote(path)}`, text, warnings);
  const texts = new Map<string, string>();
  for (const [typed, value] of counting(root)) {
    // As in etcd, whose reader of JSON does not look at the case.
    const key = typed.toLowerCase();
    if (value === null || value === undefined) continue;
    const section = sectionOf(key);
    if (section === undefined) {
      setOne(path, key, value, texts, warnings);
      continue;
    }
    if (typeof value !== 'object' || Array.isArray(value)) {
      throw new UsageError(`config file ${quote(path)}: ${key} must be a section of settings`);
    }
    for (const [typedInner, innerValue] of counting(value)) {
      const inner = typedInner.toLowerCase();
      if (innerValue === null || innerValue === undefined) continue;
      const flag = section.get(inner);
      if (flag !== undefined) setOne(path, flag, innerValue, texts, warnings);
      else warnings.push(unknownKey(path, `${key}.${inner}`, didYouMean(inner, section.keys())));
    }
  }
  return { texts, warnings };
}

/** Of keys that differ only in their case the last one counts, in the order of Go's maps. */
function counting(section: object): Array<[string, unknown]> {
  const last = new Map<string, string>();
  for (const key of Object.keys(section).sort()) last.set(key.toLowerCase(), key);
  return Object.entries(section).filter(([key]) => last.get(key.toLowerCase()) === key);
}

function sectionOf(key: string): ReadonlyMap<string, string> | undefined {
  if (key === 'client-transport-security') return clientTls;
  if (key === 'peer-transport-security') return peerTls;
  return undefined;
}

/** The settings in a text of YAML; throws {@link UsageError}, which begins with `what` it is. */
export function readYaml(
  what: string,
  text: string,
  warnings: string[],
): Readonly<Record<string, unknown>> {
  let root: unknown;
  try {
    // As etcd's reader: the last of equal keys counts, and one section may be merged into another.
    const document = yaml().parseDocument(text, {
      prettyErrors: true,
      uniqueKeys: false,
      merge: true,
      schema: 'failsafe',
      customTags: [...goScalars],
    });
    const [problem] = document.errors.filter(({ code }) => code !== 'MULTIPLE_DOCS');
    if (problem !== undefined) throw problem;
    if (document.errors.length > 0) {
      warnings.push(`${what}: only the first document in it counts`);
    }
    // A few aliases nested make gigabytes ("billion laughs").
    root = document.toJS({ maxAliasCount });
  } catch (cause) {
    const [why] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new UsageError(`${what} is not valid YAML: ${why}`);
  }
  if (root === null || root === undefined) return {};
  if (typeof root !== 'object' || Array.isArray(root)) {
    throw new UsageError(`${what} must hold "flag-name: value" lines`);
  }
  return root as Readonly<Record<string, unknown>>;
}

function setOne(
  path: string,
  key: string,
  value: unknown,
  texts: Map<string, string>,
  warnings: string[],
): void {
  const spec = flagByName.get(key);
  if (spec === undefined || key === 'config-file') {
    const remedy = removedFlagRemedy(key, (name) => flagByName.has(name));
    if (remedy !== undefined) {
      warnings.push(`config file ${quote(path)}: ${key} is ignored. ${remedy}`);
    } else {
      warnings.push(unknownKey(path, key, didYouMean(key, flagByName.keys())));
    }
    return;
  }
  if (key === 'discovery-fallback' && value === 'proxy') {
    // etcd's own sample has it; there it is only refused on the command line.
    warnings.push(`config file ${quote(path)}: ${key} 'proxy' is ignored; the v2 proxy is gone.`);
    return;
  }
  texts.set(key, textOf(path, spec, value));
}

function textOf(path: string, spec: FlagSpec, value: unknown): string {
  if (spec.kind === 'duration' && typeof value === 'number') {
    if (Number.isSafeInteger(value)) return `${value}ns`;
    throw new UsageError(
      `config file ${quote(path)}: --${spec.name} must be whole nanoseconds or a text as '10s'`,
    );
  }
  if (typeof value === 'number' || typeof value === 'boolean') {
    // As etcd: of a number or a truth nobody knows how it was written.
    if (spec.kind !== 'text' && spec.kind !== 'path') return String(value);
    throw new UsageError(
      `config file ${quote(path)}: ${spec.name} must be a text; write it in quotes`,
    );
  }
  if (typeof value === 'string') return spec.kind === 'bool' ? boolOf(value) : value;
  const isList = spec.kind === 'texts' || spec.kind === 'urls';
  if (isList && Array.isArray(value) && value.every((item) => typeof item === 'string')) {
    return value.join(',');
  }
  throw new UsageError(`config file ${quote(path)}: ${spec.name} can't be read as ${spec.kind}`);
}

/** Truth as YAML 1.1 writes it, which is what etcd reads. */
function boolOf(text: string): string {
  if (/^(y|Y|yes|Yes|YES|on|On|ON)$/.test(text)) return 'true';
  if (/^(n|N|no|No|NO|off|Off|OFF)$/.test(text)) return 'false';
  return text;
}

function unknownKey(path: string, key: string, near: string | undefined): string {
  const hint = near === undefined ? '' : ` Did you mean ${near}?`;
  return `config file ${quote(path)}: unknown setting ${quote(key)} is ignored.${hint}`;
}

/** Loaded when there is a file to read: it takes a tenth of the time of a start. */
function yaml(): typeof Yaml {
  return createRequire(import.meta.url)('yaml') as typeof Yaml;
}
