/** `put`: a key and its value, which may come from stdin. */

import { method } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import { encodePutRequest, type PutRequest } from '../../proto/index.js';
import { putShown } from '../answers/index.js';
import { command, flag, parseGoInt, type ValuesOf } from '../command/index.js';
import { print } from '../print/index.js';
import { badArguments, keyOf } from './ranges.js';

export const putFlags = {
  lease: flag.string('0', 'the lease that the key is bound to, in hexadecimal'),
  'prev-kv': flag.bool(false, 'show what the key had before'),
  'ignore-value': flag.bool(false, 'keep its value'),
  'ignore-lease': flag.bool(false, 'keep its lease'),
} as const;

export const putCommand = command({
  name: 'put',
  usage: '[options] <key> <value> (<value> can also be given from stdin)',
  short: 'Puts a key',
  long: [
    'Puts a key with a value.',
    '',
    'A value that is not on the line is read from stdin, to its end: kvorum put KEY < FILE',
    "One that begins with '-' is taken for a flag, unless '--' comes before it:",
    '',
    '  kvorum put KEY -- -VALUE',
  ].join('\n'),
  group: 'Key-value commands',
  flags: putFlags,
  async run(context, args, flags) {
    const request = await putRequest(args.map(keyOf), flags, () => bytesOf(context.io.stdin));
    const client = await context.client();
    const bytes = await client.call(method.put, 'write', encodePutRequest(request));
    await print(context, putShown(bytes, context.global));
    return undefined;
  },
});

/**
 * What `args`, whose characters are bytes, and the flags ask for; `more` reads a value that is not
 * among them. Rejects with CommandError.
 */
export async function putRequest(
  args: readonly KeyString[],
  flags: ValuesOf<typeof putFlags>,
  more: () => Promise<Buffer>,
): Promise<Partial<PutRequest>> {
  const needs = 'put command needs 1 argument and input from stdin or 2 arguments';
  const [key, given] = args;
  if (key === undefined) throw badArguments(needs);
  const ignoreValue = flags['ignore-value'];
  if (ignoreValue && given !== undefined) {
    throw badArguments("put command needs only 1 argument when 'ignore-value' is set");
  }
  let value: Buffer = Buffer.from(given ?? '', 'latin1');
  if (given === undefined && !ignoreValue) {
    value = await more();
    if (value.length === 0) throw badArguments(needs);
  }
  return {
    ...{ key, value, ignoreValue },
    lease: leaseOf(flags.lease),
    prevKv: flags['prev-kv'],
    ignoreLease: flags['ignore-lease'],
  };
}

function leaseOf(text: string): bigint {
  try {
    return parseGoInt(text, 16);
  } catch (error) {
    throw badArguments(`bad lease ID (${(error as Error).message}), expecting ID in Hex`);
  }
}

async function bytesOf(stdin: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stdin) pieces.push(piece);
  return Buffer.concat(pieces);
}
