/** The place of the backups that a line names, and what all commands on it share. */

import {
  type Backup,
  type BackupKey,
  type BackupTarget,
  BackupWriter,
  type Catalog,
  commandWriter,
  openTarget,
  parseKey,
  readCatalog,
} from '../../backup/index.js';
import { StorageError } from '../../common/index.js';
import {
  type CommandContext,
  CommandError,
  type CtlMachine,
  exit,
  flag,
  type ValuesOf,
} from '../command/index.js';

/** Of every command here. */
export const placeFlags = {
  'key-file': flag.string('', 'the key of encrypted backups: 32 bytes, or 64 hexadecimal digits'),
  's3-endpoint': flag.string(
    '',
    "URL of an S3-compatible store; else AWS_ENDPOINT_URL, else Amazon's",
  ),
  's3-region': flag.string('', 'its region; else AWS_REGION, else us-east-1'),
} as const;

export interface Place {
  readonly target: BackupTarget;
  readonly key: BackupKey | undefined;
  readonly machine: CtlMachine;
  readonly writer: BackupWriter;
  catalog(): Promise<Catalog>;
}

/** Runs `use` on the place that the only argument names; what is wrong there ends the command. */
export async function atPlace<T>(
  context: CommandContext,
  args: readonly string[],
  flags: ValuesOf<typeof placeFlags>,
  use: (place: Place) => Promise<T>,
): Promise<T> {
  const [where] = args;
  if (where === undefined || args.length > 1) {
    throw new CommandError(
      'one place is needed: a directory, or s3://bucket/prefix',
      exit.badArguments,
    );
  }
  const { io } = context;
  const { machine } = io;
  if (machine === undefined) throw new CommandError('there is no disk here', exit.badFeature);
  try {
    const s3 = { endpoint: flags['s3-endpoint'], region: flags['s3-region'] };
    const ports = { disk: machine.disk, clock: io.clock, env: io.env };
    const target = await openTarget(where, s3, ports);
    const key = await keyOf(context, flags['key-file']);
    const { random } = machine;
    const writer = new BackupWriter({
      ...{ target, key, random, clock: io.clock, writer: commandWriter },
    });
    const catalog = (): Promise<Catalog> => readCatalog(target, key);
    return await use({ target, key, machine, writer, catalog });
  } catch (error) {
    if (io.interrupted.aborted) throw new CommandError('interrupted', exit.interrupted);
    const isOurs = error instanceof StorageError || typeof codeOf(error) === 'string';
    if (!isOurs || !(error instanceof Error)) throw error;
    throw new CommandError(error.message, exit.io);
  }
}

/** Of an error of the system. */
function codeOf(error: unknown): unknown {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' && /^E[A-Z]+$/.test(code) ? code : undefined;
}

async function keyOf({ io }: CommandContext, path: string): Promise<BackupKey | undefined> {
  return path === '' ? undefined : parseKey(await io.readFile(path), path);
}

/** The newest, or the one with this name. Rejects with CommandError if there is none. */
export function chosen(catalog: Catalog, name: string, place: Place): Backup {
  const { backups, broken } = catalog;
  const found =
    name === '' ? backups.at(-1) : backups.find(({ manifest }) => manifest.chain === name);
  if (found !== undefined) return found;
  const [damaged] = broken.filter((one) => one.name.startsWith(name));
  if (damaged !== undefined) throw damaged.error;
  const which = name === '' ? 'no backup' : `no backup ${name}`;
  throw new CommandError(`there is ${which} in ${place.target.description}`, exit.io);
}
