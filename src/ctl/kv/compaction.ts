/** `compaction`: forgets what was before a revision. */

import { method } from '../../client/raw/index.js';
import { encodeCompactionRequest } from '../../proto/index.js';
import { CommandError, command, countOf, flag, parseGoInt } from '../command/index.js';
import { badArguments } from './ranges.js';

export const compactionCommand = command({
  name: 'compaction',
  usage: '[options] <revision>',
  short: 'Forgets the history before a revision',
  group: 'Key-value commands',
  flags: { physical: flag.bool(false, 'wait until the space is free for others') },
  async run(context, args, flags) {
    const [revisionText] = args;
    if (revisionText === undefined || args.length > 1) {
      throw badArguments('compaction command needs 1 argument');
    }
    const revision = revisionOf(revisionText);
    const client = await context.client();
    const request = { revision: countOf(revision), physical: flags.physical };
    await client.call(method.compact, 'write', encodeCompactionRequest(request));
    await context.io.stdout(`compacted revision ${revision}\n`);
    return undefined;
  },
});

function revisionOf(text: string): bigint {
  try {
    return parseGoInt(text, 10);
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}
