/** The flags of the named cluster, where neither the line nor the environment has them. */

import { CommandError, type CtlIo, type GlobalValues } from '../command/index.js';
import { fileReason } from '../failure/index.js';
import { type Context, contextFlags, contextNamed } from './contexts.js';
import { readContexts } from './file.js';

interface Global {
  readonly values: GlobalValues;
  readonly isSet: ReadonlySet<string>;
}

/**
 * `--context`, KVORUM_CONTEXT, or the current one, in this order. The current one, which this line
 * does not name, is left out if the line has endpoints: its user and certificates are not for them.
 */
export async function withContext(global: Global, io: CtlIo): Promise<Global> {
  const { values, isSet } = global;
  const named = values.context === '' ? (io.env.KVORUM_CONTEXT ?? '') : values.context;
  if (named === '' && isSet.has('endpoints')) return global;
  const contexts = await readContexts(io);
  const name = named === '' ? contexts.current : named;
  if (name === undefined) return global;
  const context = contextNamed(contexts, name);
  return overlaid(global, context, await passwordOf(context, global, io));
}

function overlaid({ values, isSet }: Global, context: Context, password: string | undefined) {
  const result: Record<string, unknown> = { ...values };
  const all = new Set(isSet);
  const given: Record<string, unknown> = { password };
  for (const [field, flag] of Object.entries(contextFlags)) {
    given[flag] = context[field as keyof Context];
  }
  for (const [flag, value] of Object.entries(given)) {
    if (value === undefined || isSet.has(flag)) continue;
    result[flag] = value;
    all.add(flag);
  }
  return { values: result as GlobalValues, isSet: all };
}

/** Of the context's user, unless the line has a user or a token of its own. */
async function passwordOf(
  { user, passwordEnv, passwordFile }: Context,
  { isSet }: Global,
  io: CtlIo,
): Promise<string | undefined> {
  const hasOwn = isSet.has('user') || isSet.has('password') || isSet.has('auth-jwt-token');
  if (user === undefined || hasOwn) return undefined;
  if (passwordEnv !== undefined) {
    const password = io.env[passwordEnv];
    if (password !== undefined && password !== '') return password;
    throw new CommandError(`the password of ${user} is to be in ${passwordEnv}, which is not set`);
  }
  if (passwordFile === undefined) return undefined;
  try {
    const text = Buffer.from(await io.readFile(passwordFile)).toString('utf8');
    return text.split(/\r?\n/)[0] ?? '';
  } catch (error) {
    const why = `open ${passwordFile}: ${fileReason(error)}`;
    throw new CommandError(`the password of ${user} can't be read: ${why}`);
  }
}
