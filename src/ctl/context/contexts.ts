/**
 * What is kept of a named cluster: the flags that reach it. A password is never among them, only
 * where it is: the name of a variable, or of a file.
 */

import { CommandError } from '../command/index.js';

/** The flags that a context may stand for, as they are called in the file. */
export const contextFlags = {
  endpoints: 'endpoints',
  cert: 'cert',
  key: 'key',
  cacert: 'cacert',
  insecureSkipTlsVerify: 'insecure-skip-tls-verify',
  insecureTransport: 'insecure-transport',
  user: 'user',
} as const;

/** One named cluster. */
export interface Context {
  readonly endpoints: readonly string[];
  readonly cert?: string;
  readonly key?: string;
  readonly cacert?: string;
  readonly insecureSkipTlsVerify?: boolean;
  readonly insecureTransport?: boolean;
  readonly user?: string;
  /** The variable of the environment that holds the password of `user`. */
  readonly passwordEnv?: string;
  /** The file whose first line is the password of `user`. */
  readonly passwordFile?: string;
}

/** All of them. */
export interface Contexts {
  /** Used where no other is named. */
  readonly current?: string;
  readonly contexts: Readonly<Record<string, Context>>;
}

/** The one of this name. Throws CommandError that says which there are. */
export function contextNamed({ contexts }: Contexts, name: string): Context {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(contexts);
  const those = names.length === 0 ? 'there are none' : `there are: ${names.join(', ')}`;
  throw new CommandError(`there is no context ${JSON.stringify(name)}; ${those}`);
}

const texts = ['cert', 'key', 'cacert', 'user', 'passwordEnv', 'passwordFile'] as const;
const switches = ['insecureSkipTlsVerify', 'insecureTransport'] as const;
const known: ReadonlySet<string> = new Set(['endpoints', ...texts, ...switches]);

/** What the JSON of a file holds. Throws an Error that says what is wrong with it, and where. */
export function contextsOf(value: unknown): Contexts {
  const { current, contexts = {}, ...others } = recordOf(value, 'it');
  refuseOthers(others, 'it');
  if (current !== undefined && typeof current !== 'string') throw new Error('"current" is no text');
  const read = Object.entries(recordOf(contexts, '"contexts"')).map(
    ([name, one]) => [name, contextOf(name, one)] as const,
  );
  const found = { contexts: Object.fromEntries(read) };
  return current === undefined ? found : { ...found, current };
}

function contextOf(name: string, value: unknown): Context {
  const where = `context ${JSON.stringify(name)}`;
  const fields = recordOf(value, where);
  const unknown = Object.fromEntries(Object.entries(fields).filter(([key]) => !known.has(key)));
  refuseOthers(unknown, where);
  const { endpoints } = fields;
  const isList = Array.isArray(endpoints) && endpoints.length > 0;
  if (!isList || !endpoints.every((one) => typeof one === 'string' && one !== '')) {
    throw new Error(`"endpoints" of ${where} is no list of texts`);
  }
  for (const key of texts) {
    if (fields[key] !== undefined && typeof fields[key] !== 'string') {
      throw new Error(`"${key}" of ${where} is no text`);
    }
  }
  for (const key of switches) {
    if (fields[key] !== undefined && typeof fields[key] !== 'boolean') {
      throw new Error(`"${key}" of ${where} is neither true nor false`);
    }
  }
  return fields as unknown as Context;
}

function recordOf(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new Error(`${where} is no object`);
}

/** A misspelt name must not mean the default. */
function refuseOthers(others: Readonly<Record<string, unknown>>, where: string): void {
  const [first] = Object.keys(others);
  if (first !== undefined)
    throw new Error(`${where} has an unknown field ${JSON.stringify(first)}`);
}
