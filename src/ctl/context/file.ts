/** The file of the named clusters, in the user's configuration folder. */

import { dirname, isAbsolute, join } from 'node:path';
import { CommandError, type CtlIo } from '../command/index.js';
import { fileReason } from '../failure/index.js';
import { type Contexts, contextsOf } from './contexts.js';

type Environment = CtlIo['env'];

const none: Contexts = { contexts: {} };

/** As the XDG base directories have it; undefined: there is no home. */
export function contextsPath(env: Environment): string | undefined {
  const { XDG_CONFIG_HOME: config, HOME: home, APPDATA: appData } = env;
  // The specification has a relative path ignored.
  const given = config !== undefined && isAbsolute(config) ? config : undefined;
  const folder = given ?? (home ? join(home, '.config') : appData);
  return folder === undefined || folder === '' ? undefined : join(folder, 'kvorum', fileName);
}

const fileName = 'contexts.json';

/** Those that are kept; none if there is no file. Rejects with CommandError for a bad one. */
export async function readContexts(io: Pick<CtlIo, 'env' | 'readFile'>): Promise<Contexts> {
  const path = contextsPath(io.env);
  if (path === undefined) return none;
  let text: string;
  try {
    text = Buffer.from(await io.readFile(path)).toString('utf8');
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (code === 'ENOENT' || code === 'ENOTDIR') return none;
    throw bad(path, error);
  }
  try {
    return contextsOf(JSON.parse(text));
  } catch (error) {
    throw bad(path, error);
  }
}

function bad(path: string, error: unknown): CommandError {
  const why = fileReason(error);
  return new CommandError(`${path} can't be used: ${why}. Mend it, or remove it`);
}

/** Takes the place of those that were kept; only this user may read the file. */
export async function writeContexts(
  io: Pick<CtlIo, 'env' | 'files'>,
  contexts: Contexts,
): Promise<void> {
  const path = contextsPath(io.env);
  if (path === undefined) {
    throw new CommandError(
      'there is no place for contexts: neither XDG_CONFIG_HOME nor HOME is set',
    );
  }
  const part = `${path}.part`;
  try {
    await io.files.makeFolder(dirname(path));
    const file = await io.files.create(part);
    try {
      await file.write(Buffer.from(`${JSON.stringify(contexts, null, 2)}\n`));
      await file.sync();
    } finally {
      await file.close();
    }
    await io.files.rename(part, path);
  } catch (error) {
    const why = fileReason(error);
    throw new CommandError(`contexts could not be kept: ${why}`);
  }
}
