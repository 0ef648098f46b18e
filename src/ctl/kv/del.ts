/** `del`: a key, or a range of them. */

import { method } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import { type DeleteRangeRequest, encodeDeleteRangeRequest } from '../../proto/index.js';
import { deleteShown } from '../answers/index.js';
import { type CtlIo, command, flag, type ValuesOf } from '../command/index.js';
import { goQuotedBytes, print } from '../print/index.js';
import { badArguments, checkRangeFlags, keyOf, keysOf } from './ranges.js';

export const delFlags = {
  prefix: flag.bool(false, 'all keys that begin with the key'),
  'prev-kv': flag.bool(false, 'show what was deleted'),
  'from-key': flag.bool(false, 'all keys from the key on, by their bytes'),
  range: flag.bool(false, 'do not wait before a range is deleted'),
} as const;

/** Time to think it over. */
const warningMs = 2_000;

export const delCommand = command({
  name: 'del',
  usage: '[options] <key> [range_end]',
  short: 'Deletes a key, or the range [key, range_end)',
  group: 'Key-value commands',
  flags: delFlags,
  async run(context, args, flags) {
    const request = await delRequest(args.map(keyOf), flags, context.io);
    const client = await context.client();
    const bytes = await client.call(method.deleteRange, 'write', encodeDeleteRangeRequest(request));
    await print(context, deleteShown(bytes, context.global));
    return undefined;
  },
});

/** What `args`, whose characters are bytes, and the flags ask for. Rejects with CommandError. */
export async function delRequest(
  args: readonly KeyString[],
  flags: ValuesOf<typeof delFlags>,
  io: CtlIo,
): Promise<Partial<DeleteRangeRequest>> {
  const [key, end] = args;
  if (key === undefined || args.length > 2) {
    throw badArguments(
      'del command needs one argument as key and an optional argument as range_end',
    );
  }
  checkRangeFlags(flags);
  const keys = keysOf(args, flags);
  if (end !== undefined && !flags.range) {
    const [first, last] = [key, end].map((one) => goQuotedBytes(Buffer.from(one, 'latin1')));
    io.stderr(
      `Warning: Keys between ${first} and ${last} will be deleted. Please interrupt the command ` +
        'within next 2 seconds to cancel. You can provide `--range` flag to avoid the delay.\n',
    );
    await new Promise<void>((resolve) => void io.clock.after(warningMs, resolve));
  }
  return { ...keys, prevKv: flags['prev-kv'] };
}
