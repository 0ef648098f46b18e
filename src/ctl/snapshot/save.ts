/**
 * `snapshot save`: the store of one member as a file in etcd's format. It is written beside, under
 * a name that ends in .part, and takes its own name when it is whole, checked and on the disk: a
 * file of that name is never half a snapshot.
 */

import { createHash } from 'node:crypto';
import { isEtcdError } from '../../client/index.js';
import { method } from '../../client/raw/index.js';
import { snapshotRequest, snapshotResponse } from '../../proto/index.js';
import {
  bytesText,
  type CommandContext,
  CommandError,
  type CtlFile,
  command,
  durationText,
  exit,
} from '../command/index.js';
import { failureText, fileReason, isForPeople } from '../failure/index.js';
import { type Progress, progress } from '../progress/index.js';

const hashBytes = 32;
/** Pages of the format are multiples of this, and the hash is behind them. */
const sectorBytes = 512;

export const save = command({
  name: 'save',
  usage: '<filename>',
  short: 'Saves the store of the member at the endpoint to a file',
  async run(context, args) {
    const [path] = args;
    if (path === undefined || args.length !== 1) {
      throw new CommandError('snapshot save expects one argument <filename>', exit.badArguments);
    }
    const { endpoints } = context.global;
    await context.client();
    if (endpoints.length !== 1) {
      const all = endpoints.map((one) => one.trim()).join(' ');
      throw failed(`snapshot must be requested to one selected node, not multiple [${all}]`);
    }
    const version = await saved(context, path);
    await context.io.stdout(`Snapshot saved at ${path}\n`);
    if (version !== '') await context.io.stdout(`Server version ${version}\n`);
    return undefined;
  },
});

/** As etcdctl ends, whatever it was. */
function failed(message: string, cause?: unknown): CommandError {
  return new CommandError(message, exit.interrupted, { cause });
}

/** Resolves with the version that the server says it has. */
async function saved(context: CommandContext, path: string): Promise<string> {
  const { io } = context;
  const part = `${path}.part`;
  let file: CtlFile;
  try {
    file = await io.files.create(part);
  } catch (error) {
    throw failed(`could not open ${part} (open ${part}: ${fileReason(error)})`, error);
  }
  const startMs = io.clock.nowMs();
  const bar = isForPeople(context) ? progress(io, { title: 'saving', unit: 'bytes' }) : undefined;
  let isOpen = true;
  try {
    note(context, 'created temporary db file', { path: part });
    const { sizeBytes, version } = await fetched(context, file, bar);
    await step(() => file.sync(), 'could not fsync snapshot');
    isOpen = false;
    await step(() => file.close(), 'could not close file descriptor');
    const took = durationText(Math.round(io.clock.nowMs() - startMs));
    note(context, 'fetched snapshot', {
      size: bytesText(sizeBytes),
      took,
      'etcd-version': version,
    });
    await step(() => io.files.rename(part, path), `could not rename ${part} to ${path}`);
    note(context, 'saved', { path });
    bar?.end(`${bytesText(sizeBytes)} in ${took}, its hash is right`);
    return version;
  } finally {
    bar?.end();
    if (isOpen) await file.close();
    await io.files.remove(part);
  }
}

async function step(act: () => Promise<void>, what: string): Promise<void> {
  try {
    await act();
  } catch (error) {
    throw failed(`${what}: ${fileReason(error)}`, error);
  }
}

/** Writes what comes, and checks it. */
async function fetched(context: CommandContext, file: CtlFile, bar: Progress | undefined) {
  const { io, global, isSet } = context;
  const client = await context.client();
  const timed = isSet.has('command-timeout') ? { timeoutMs: global['command-timeout'] } : {};
  const options = { ...timed, signal: io.interrupted };
  const request = snapshotRequest.encode({});
  const hash = new TrailingHash();
  let sizeBytes = 0;
  let version = '';
  try {
    const pieces = client.serverStream(method.snapshot, 'local', request, options);
    for await (const piece of pieces) {
      const { blob, remainingBytes, version: said } = snapshotResponse.decode(piece);
      if (sizeBytes === 0) {
        note(context, 'opened snapshot stream; downloading', {});
        note(context, 'fetching snapshot', { endpoint: global.endpoints[0] });
      }
      if (said !== '') version = said;
      hash.add(blob);
      await step(() => file.write(blob), 'could not write snapshot');
      sizeBytes += blob.length;
      bar?.set(sizeBytes, sizeBytes + remainingBytes);
    }
    note(context, 'completed snapshot read; closing', {});
  } catch (error) {
    if (!isEtcdError(error)) throw error;
    const why = failureText(error, context);
    throw failed(sizeBytes === 0 ? why : `could not write snapshot: ${why}`, error);
  }
  if (sizeBytes % sectorBytes !== hashBytes) {
    throw failed(`sha256 checksum not found [bytes: ${sizeBytes}]`);
  }
  if (!hash.isRight()) throw failed('what came is damaged: its sha256 checksum is wrong');
  return { sizeBytes, version };
}

/** What comes ends in the hash of all before. */
class TrailingHash {
  readonly #hash = createHash('sha256');
  #end: Buffer = Buffer.alloc(0);

  add(bytes: Uint8Array): void {
    const all = Buffer.concat([this.#end, bytes]);
    const kept = Math.min(hashBytes, all.length);
    this.#hash.update(all.subarray(0, all.length - kept));
    this.#end = Buffer.from(all.subarray(all.length - kept));
  }

  isRight(): boolean {
    return this.#hash.digest().equals(this.#end);
  }
}

/** etcdctl tells its steps on stderr, as lines of JSON; people have the bar. */
function note(
  context: CommandContext,
  msg: string,
  fields: Readonly<Record<string, string | undefined>>,
): void {
  if (isForPeople(context)) return;
  const ts = new Date(context.io.clock.wallMs()).toISOString();
  context.io.stderr(`${JSON.stringify({ level: 'info', ts, msg, ...fields })}\n`);
}
