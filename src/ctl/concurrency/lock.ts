/** `lock`: holds a lock until it is interrupted, or while a program runs. */

import { method, type RawClient } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import {
  CompareResult,
  CompareTarget,
  compareOf,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeDeleteRangeRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type RequestOp,
} from '../../proto/index.js';
import { rangeShown } from '../answers/index.js';
import {
  type CommandContext,
  CommandError,
  command,
  type ExitCode,
  exit,
  flag,
} from '../command/index.js';
import { print } from '../print/index.js';
import { firstBelow, Session, waitForOlder } from '../session/index.js';
import { opOf } from './requests.js';

const noDeadline = { timeoutMs: Number.POSITIVE_INFINITY };

/** Of a session whose --ttl is none. */
const defaultTtlSeconds = 60;

export const lockCommand = command({
  name: 'lock',
  usage: '<lockname> [exec-command arg1 arg2 ...]',
  short: 'Takes a lock, and holds it',
  long: [
    'Takes a lock, and holds it until this is interrupted, or until the program on the line has',
    'ended, whose status is that of this command then. The program has ETCD_LOCK_KEY and',
    'ETCD_LOCK_REV in its environment.',
  ].join('\n'),
  group: 'Concurrency commands',
  flags: { ttl: flag.int(10, 'seconds after which others have it if this is gone') },
  async run(context, args, { ttl }) {
    const [name, ...program] = args;
    if (name === undefined) {
      throw new CommandError(
        'lock takes a lock name argument and an optional command to execute',
        exit.badArguments,
      );
    }
    const client = await context.client();
    const session = await Session.open(client, ttl > 0 ? ttl : defaultTtlSeconds);
    try {
      return await hold(context, client, session, `${bytesOf(name)}/`, program);
    } finally {
      session.close();
    }
  },
});

async function hold(
  context: CommandContext,
  client: RawClient,
  session: Session,
  prefix: KeyString,
  program: readonly string[],
): Promise<ExitCode> {
  const { io } = context;
  const { key, revision } = await acquire(client, session, prefix, io.interrupted);
  const unlock = async (): Promise<void> => {
    await client.call(method.deleteRange, 'write', encodeDeleteRangeRequest({ key }), noDeadline);
  };
  if (program.length > 0) {
    const { status, problem } = await io.execute(program, {
      ETCD_LOCK_KEY: Buffer.from(key, 'latin1').toString('utf8'),
      ETCD_LOCK_REV: String(revision),
    });
    await unlock();
    if (status !== 0) throw new CommandError(problem, problem.startsWith('exec') ? 1 : status);
    return exit.ok;
  }
  const bytes = await client.call(method.range, 'read', encodeRangeRequest({ key }), noDeadline);
  if (decodeRangeResponse(bytes).kvs.length === 0) throw new CommandError('lock lost on init');
  await print(context, rangeShown(bytes, context.global));
  await Promise.race([session.lost, aborted(io.interrupted)]);
  if (!io.interrupted.aborted) throw new CommandError('session expired');
  await unlock();
  return exit.ok;
}

/** Waits for the lock; interrupted, it leaves the queue. */
async function acquire(
  client: RawClient,
  session: Session,
  prefix: KeyString,
  signal: AbortSignal,
): Promise<{ readonly key: KeyString; readonly revision: number }> {
  const key = session.keyBelow(prefix);
  const owner: RequestOp = opOf('range', firstBelow(prefix, 'first'));
  const isNew = compareOf({
    ...{ key, result: CompareResult.EQUAL, target: CompareTarget.CREATE },
    targetUnion: 'createRevision',
  });
  const put = opOf('put', { key, value: Buffer.alloc(0), lease: session.lease });
  const request = encodeTxnRequest({
    compare: [isNew],
    success: [put, owner],
    failure: [opOf('range', { key }), owner],
  });
  const bytes = await client.call(method.txn, 'write', request, noDeadline);
  const { header, responses } = decodeTxnResponse(bytes);
  const revision = header?.revision ?? 0;
  const [, found] = responses;
  const first = found?.type === 'range' ? found.response.kvs[0] : undefined;
  if (first === undefined || first.createRevision === revision) return { key, revision };
  try {
    await waitForOlder(client, prefix, revision, signal);
  } catch (error) {
    await client.call(method.deleteRange, 'write', encodeDeleteRangeRequest({ key }), noDeadline);
    throw error;
  }
  const mine = decodeRangeResponse(
    await client.call(method.range, 'read', encodeRangeRequest({ key }), noDeadline),
  );
  if (mine.kvs.length === 0) throw new CommandError('mutex: session is expired');
  return { key, revision: mine.header?.revision ?? 0 };
}

/** Resolves when `signal` is aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** A name as a key. */
export function bytesOf(name: string): KeyString {
  return Buffer.from(name).toString('latin1');
}
