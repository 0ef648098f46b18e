/** Prints what a watch tells, and runs the program of its line for each event. */

import { isEtcdError } from '../../client/index.js';
import { keyToBytes } from '../../common/index.js';
import type { WatchResponse } from '../../proto/index.js';
import { type CommandContext, type ExitCode, exit, goQuoted } from '../command/index.js';
import { etcdctlText } from '../failure/index.js';
import { goQuotedBytes, print } from '../print/index.js';
import type { Watch } from '../watching/index.js';
import { eventName, isProgress, progressLine, watchShown } from './shown.js';

/** Ends when the watch does: `error` if the program did not end well, which has been said then. */
export async function show(
  context: CommandContext,
  watch: Watch,
  program: readonly string[],
): Promise<ExitCode> {
  try {
    for await (const { bytes, response } of watch.answers()) {
      await showOne(context, bytes, response);
      for (const event of program.length > 0 ? response.events : []) {
        if (!(await runFor(context, event, response, program))) return exit.error;
      }
    }
  } catch (error) {
    if (!isEtcdError(error)) throw error;
    context.io.stderr(`watch was canceled (${etcdctlText(error)})\n`);
  }
  return exit.ok;
}

async function showOne(
  context: CommandContext,
  bytes: Buffer,
  response: WatchResponse,
): Promise<void> {
  const { io, global } = context;
  if (response.canceled || response.compactRevision !== 0) {
    io.stderr(`watch was canceled (${cancelText(response)})\n`);
  }
  if (isProgress(response)) await io.stdout(progressLine(response));
  await print(context, watchShown(bytes, response, global.hex));
}

function cancelText({ compactRevision, cancelReason }: WatchResponse): string {
  if (compactRevision !== 0) return 'etcdserver: mvcc: required revision has been compacted';
  if (cancelReason !== '') return cancelReason;
  return 'etcdserver: mvcc: required revision is a future revision';
}

/** False: it did not end well. */
async function runFor(
  { io }: CommandContext,
  event: WatchResponse['events'][number],
  response: WatchResponse,
  program: readonly string[],
): Promise<boolean> {
  const { kv } = event;
  const { status, problem } = await io.execute(program, {
    ETCD_WATCH_REVISION: String(response.header?.revision ?? 0),
    ETCD_WATCH_EVENT_TYPE: goQuoted(eventName(event)),
    ETCD_WATCH_KEY: goQuotedBytes(keyToBytes(kv?.key ?? '')),
    ETCD_WATCH_VALUE: goQuotedBytes(kv?.value ?? Buffer.alloc(0)),
  });
  if (status === 0) return true;
  const words = program.map((word) => goQuotedBytes(Buffer.from(word))).join(' ');
  io.stderr(`command [${words}] error (${problem})\n`);
  return false;
}
