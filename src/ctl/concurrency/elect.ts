/** `elect`: takes part in an election, or shows who is elected. */

import { method, type RawClient } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import {
  CompareResult,
  CompareTarget,
  compareOf,
  decodeRangeResponse,
  decodeTxnResponse,
  EventType,
  encodeRangeRequest,
  encodeTxnRequest,
  jsonMessage,
  type MessageValue,
  messageBytes,
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
import { messageFields, print } from '../print/index.js';
import { firstBelow, Session, waitForOlder } from '../session/index.js';
import { Watch } from '../watching/index.js';
import { aborted, bytesOf } from './lock.js';
import { opOf } from './requests.js';

const noDeadline = { timeoutMs: Number.POSITIVE_INFINITY };

const ttlSeconds = 60;

export const electCommand = command({
  name: 'elect',
  usage: '<election-name> [proposal]',
  short: 'Takes part in an election, or shows who wins',
  long: 'Waits until it is elected, and stays so until it is interrupted.',
  group: 'Concurrency commands',
  flags: { listen: flag.bool(false, 'only show who is elected', { short: 'l' }) },
  async run(context, args, { listen }) {
    const [name, proposal] = args;
    if (name === undefined || args.length > 2) {
      throw badArguments(
        'elect takes one election name argument and an optional proposal argument',
      );
    }
    if (proposal === undefined && !listen)
      throw badArguments('no proposal argument but -l not set');
    if (proposal !== undefined && listen) throw badArguments('proposal given but -l is set');
    const prefix: KeyString = `${bytesOf(name)}/`;
    return proposal === undefined
      ? await observe(context, prefix)
      : await campaign(context, prefix, proposal);
  },
});

async function campaign(
  context: CommandContext,
  prefix: KeyString,
  proposal: string,
): Promise<ExitCode> {
  const client = await context.client();
  const { interrupted } = context.io;
  const session = await Session.open(client, ttlSeconds);
  const key = session.keyBelow(prefix);
  const created = compareOf({
    ...{ key, result: CompareResult.EQUAL, target: CompareTarget.CREATE },
    targetUnion: 'createRevision',
  });
  const put = opOf('put', { key, value: Buffer.from(proposal), lease: session.lease });
  const bytes = await client.call(
    method.txn,
    'write',
    encodeTxnRequest({ compare: [created], success: [put], failure: [] }),
    noDeadline,
  );
  const revision = decodeTxnResponse(bytes).header?.revision ?? 0;
  const resign = async (): Promise<void> => {
    const mine = { ...created, createRevision: revision };
    const request = { compare: [mine], success: [opOf('deleteRange', { key })], failure: [] };
    await client.call(method.txn, 'write', encodeTxnRequest(request), noDeadline);
  };
  try {
    await orResign(waitForOlder(client, prefix, revision, interrupted), resign);
    const elected = await client.call(
      method.range,
      'read',
      encodeRangeRequest({ key }),
      noDeadline,
    );
    await print(context, rangeShown(elected, context.global));
    await Promise.race([session.lost, aborted(interrupted)]);
    if (!interrupted.aborted) throw new CommandError('elect: session expired');
    await resign();
    return exit.ok;
  } finally {
    session.close();
  }
}

async function orResign(waiting: Promise<void>, resign: () => Promise<void>): Promise<void> {
  try {
    await waiting;
  } catch (error) {
    await resign();
    throw error;
  }
}

/** Shows who is elected, and each of their new values. */
async function observe(context: CommandContext, prefix: KeyString): Promise<ExitCode> {
  const client = await context.client();
  const { interrupted } = context.io;
  while (!interrupted.aborted) {
    const leader = await waitForLeader(client, prefix, interrupted);
    if (leader === undefined) break;
    await print(context, rangeShown(leader, context.global));
    await follow(context, client, leader);
  }
  return exit.ok;
}

/** A RangeResponse with the leader alone; undefined: interrupted. */
async function waitForLeader(
  client: RawClient,
  prefix: KeyString,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const request = firstBelow(prefix, 'first');
  const bytes = await client.call(method.range, 'read', encodeRangeRequest(request), noDeadline);
  const { kvs, header } = decodeRangeResponse(bytes);
  const fields = messageFields(bytes, 'etcdserverpb.RangeResponse');
  const [kv] = (fields.kvs ?? []) as readonly MessageValue[];
  if (kvs.length > 0) return leaderBytes(fields.header as MessageValue, kv);
  const { key = '', rangeEnd = '' } = request;
  const startRevision = header?.revision ?? 0;
  const watch = new Watch(client, { key, rangeEnd, startRevision }, signal);
  for await (const { bytes: answer } of watch.answers()) {
    const { header: at, events = [] } = messageFields(answer, 'etcdserverpb.WatchResponse');
    const put = (events as readonly MessageValue[]).find(({ type }) => type === undefined);
    if (put === undefined) continue;
    const found = put.kv as MessageValue;
    const revision = found.mod_revision ?? 0n;
    return leaderBytes({ ...(at as MessageValue), revision }, found);
  }
  return undefined;
}

/** Shows the leader's new values, until its key is gone. */
async function follow(context: CommandContext, client: RawClient, leader: Buffer): Promise<void> {
  const { kvs, header } = decodeRangeResponse(leader);
  const [kv] = kvs;
  if (kv === undefined) return;
  const startRevision = (header?.revision ?? 0) + 1;
  const watch = new Watch(client, { key: kv.key, startRevision }, context.io.interrupted);
  for await (const { bytes, response } of watch.answers()) {
    const { header: at, events = [] } = messageFields(bytes, 'etcdserverpb.WatchResponse');
    for (const [index, event] of response.events.entries()) {
      if (event.type === EventType.DELETE) return;
      const { kv: value } = (events as readonly MessageValue[])[index] ?? {};
      const shown = leaderBytes(at as MessageValue, value as MessageValue);
      await print(context, rangeShown(shown, context.global));
    }
  }
}

/** As etcd's client makes it: without a count. */
function leaderBytes(header: MessageValue, kv: MessageValue | undefined): Buffer {
  const kvs = kv === undefined ? [] : [kv];
  return messageBytes({ header, kvs }, jsonMessage('etcdserverpb.RangeResponse'));
}

function badArguments(message: string): CommandError {
  return new CommandError(message, exit.badArguments);
}
