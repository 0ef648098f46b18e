/** `get`: a key, or a range of them. */

import { method, type RawClient } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import {
  encodeRangeRequest,
  jsonMessage,
  type MessageValue,
  messageBytes,
  messageValue,
  type RangeRequest,
  SortOrder,
  SortTarget,
} from '../../proto/index.js';
import { rangeShown } from '../answers/index.js';
import {
  CommandError,
  command,
  countOf,
  exit,
  flag,
  goQuoted,
  type ValuesOf,
} from '../command/index.js';
import { formatOf, print } from '../print/index.js';
import { badArguments, checkRangeFlags, keyOf, keysOf } from './ranges.js';

export const getFlags = {
  consistency: flag.string('l', 'l: linearizable; s: serializable, from one member alone'),
  order: flag.string('', 'ASCEND or DESCEND; ASCEND if only --sort-by is given'),
  'sort-by': flag.string('', 'CREATE, KEY, MODIFY, VALUE or VERSION'),
  limit: flag.int64(0n, 'how many keys at most; 0 for all'),
  prefix: flag.bool(false, 'all keys that begin with the key'),
  'from-key': flag.bool(false, 'all keys from the key on, by their bytes'),
  rev: flag.int64(0n, 'as they were at that revision; 0 for now'),
  'keys-only': flag.bool(false, 'without values'),
  'count-only': flag.bool(false, 'only how many there are; with --write-out=fields'),
  'print-value-only': flag.bool(false, 'without keys; with --write-out=simple'),
  'min-create-rev': flag.int64(0n, 'created at that revision or later'),
  'max-create-rev': flag.int64(0n, 'created at that revision or before'),
  'min-mod-rev': flag.int64(0n, 'changed at that revision or later'),
  'max-mod-rev': flag.int64(0n, 'changed at that revision or before'),
  stream: flag.bool(false, 'ask for the answer in pieces (RangeStream)'),
} as const;

type GetFlags = ValuesOf<typeof getFlags>;

const sortOrders: Readonly<Record<string, number>> = {
  '': SortOrder.NONE,
  ASCEND: SortOrder.ASCEND,
  DESCEND: SortOrder.DESCEND,
};

const sortTargets: Readonly<Record<string, number>> = {
  '': SortTarget.KEY,
  CREATE: SortTarget.CREATE,
  KEY: SortTarget.KEY,
  MODIFY: SortTarget.MOD,
  VALUE: SortTarget.VALUE,
  VERSION: SortTarget.VERSION,
};

export const getCommand = command({
  name: 'get',
  usage: '[options] <key> [range_end]',
  short: 'Gets a key, or a range of keys',
  group: 'Key-value commands',
  flags: getFlags,
  async run(context, args, flags) {
    const request = encodeRangeRequest(getRequest(args.map(keyOf), flags));
    const client = await context.client();
    const bytes = flags.stream
      ? await streamed(client, request)
      : await client.call(method.range, flags.consistency === 's' ? 'local' : 'read', request);
    checkFormat(formatOf(context.global), flags);
    const style = { hex: context.global.hex, valueOnly: flags['print-value-only'] };
    await print(context, rangeShown(bytes, style));
    return undefined;
  },
});

/** What `args`, whose characters are bytes, and the flags ask for. Throws CommandError. */
export function getRequest(args: readonly KeyString[], flags: GetFlags): Partial<RangeRequest> {
  if (args.length === 0) {
    throw badArguments(
      'get command needs one argument as key and an optional argument as range_end',
    );
  }
  checkRangeFlags(flags);
  if (flags['keys-only'] && flags['count-only']) {
    throw badArguments(
      '`--keys-only` and `--count-only` cannot be set at the same time, choose one',
    );
  }
  const serializable = isSerializable(flags.consistency);
  const keys = keysOf(args, flags);
  const sortTarget = sortOf('target', sortTargets, flags['sort-by']);
  const ordered = sortOf('order', sortOrders, flags.order);
  // That is how they come anyway.
  const inOrder = sortTarget === SortTarget.KEY && ordered === SortOrder.ASCEND;
  return {
    ...keys,
    ...{ serializable, sortTarget, sortOrder: inOrder ? SortOrder.NONE : ordered },
    limit: countOf(flags.limit),
    revision: atLeastZero(flags.rev),
    keysOnly: flags['keys-only'],
    countOnly: flags['count-only'],
    ...revisionBounds(flags),
  };
}

function isSerializable(consistency: string): boolean {
  if (consistency === 's' || consistency === 'l') return consistency === 's';
  throw badFeature(`unknown consistency flag ${goQuoted(consistency)}`);
}

function sortOf(what: string, known: Readonly<Record<string, number>>, given: string): number {
  const name = given.toUpperCase();
  const found = Object.hasOwn(known, name) ? known[name] : undefined;
  if (found === undefined) throw badFeature(`bad sort ${what} ${given}`);
  return found;
}

function revisionBounds(flags: GetFlags): Partial<RangeRequest> {
  const bounds = [
    ['Create', flags['min-create-rev'], flags['max-create-rev']],
    ['Mod', flags['min-mod-rev'], flags['max-mod-rev']],
  ] as const;
  for (const [name, min, max] of bounds) {
    if (max <= 0n || min <= max) continue;
    throw badFeature(`getMin${name}Rev(=${min}) > getMax${name}Rev(=${max})`);
  }
  return {
    minCreateRevision: atLeastZero(flags['min-create-rev']),
    maxCreateRevision: atLeastZero(flags['max-create-rev']),
    minModRevision: atLeastZero(flags['min-mod-rev']),
    maxModRevision: atLeastZero(flags['max-mod-rev']),
  };
}

function atLeastZero(value: bigint): number {
  return value > 0n ? countOf(value) : 0;
}

/** As etcdctl, after it has asked. */
function checkFormat(format: string, flags: GetFlags): void {
  if (flags['count-only'] && format !== 'fields') {
    throw badArguments('--count-only is only for `--write-out=fields`');
  }
  if (flags['print-value-only'] && format !== 'simple') {
    throw badArguments('print-value-only is only for `--write-out=simple`');
  }
}

function badFeature(message: string): CommandError {
  return new CommandError(message, exit.badFeature);
}

/** The pieces of RangeStream as one RangeResponse. */
async function streamed(client: RawClient, request: Uint8Array): Promise<Buffer> {
  const kvs: MessageValue[] = [];
  let rest: MessageValue = {};
  const type = jsonMessage('etcdserverpb.RangeStreamResponse');
  for await (const piece of client.serverStream(method.rangeStream, 'read', request)) {
    const range = messageValue(piece, type).range_response as MessageValue | undefined;
    if (range === undefined) continue;
    kvs.push(...((range.kvs ?? []) as MessageValue[]));
    rest = { ...rest, ...range };
  }
  return messageBytes({ ...rest, kvs }, jsonMessage('etcdserverpb.RangeResponse'));
}
