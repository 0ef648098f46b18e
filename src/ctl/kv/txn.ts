/** `txn`: reads comparisons and requests from stdin, and sends them as one. */

import { method } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import { encodeTxnRequest } from '../../proto/index.js';
import { txnShown } from '../answers/index.js';
import { type CommandContext, command, flag } from '../command/index.js';
import { print } from '../print/index.js';
import { Lines } from '../text/index.js';
import { badArguments } from './ranges.js';
import { compareOfLine, requestOfLine, wrong } from './txn-syntax.js';

export const txnCommand = command({
  name: 'txn',
  usage: '[options]',
  short: 'Compares and changes keys in one step',
  long: [
    'Reads a transaction from stdin and sends it. It has three parts, each ended by an empty line:',
    'comparisons, the requests if all of them hold, and those if one does not.',
    '',
    '  mod("key1") > "0"',
    '',
    '  put key1 "was there"',
    '',
    '  put key1 "is new"',
    '  put key2 "and more"',
    '',
    'Comparisons are of ver(sion), c(reate), m(od), val(ue) or lease, with =, !=, < or >.',
  ].join('\n'),
  group: 'Key-value commands',
  flags: { interactive: flag.bool(false, 'say which part is read', { short: 'i' }) },
  async run(context, args, flags) {
    if (args.length > 0) throw badArguments('txn command does not accept argument');
    const client = await context.client();
    const { io } = context;
    const lines = new Lines(io.stdin);
    const part = async <Read>(
      title: string,
      read: (line: KeyString) => Promise<Read> | Read,
    ): Promise<Read[]> => {
      if (flags.interactive) await io.stdout(`${title}\n`);
      return await readPart(lines, read);
    };
    const request = {
      compare: await part('compares:', compareOfLine),
      success: await part('success requests (get, put, del):', (line) => requestOfLine(line, io)),
      failure: await part('failure requests (get, put, del):', (line) => requestOfLine(line, io)),
    };
    await sendTxn(context, client, encodeTxnRequest(request));
    return undefined;
  },
});

/** Without a deadline: whoever waits for it interrupts it. */
async function sendTxn(
  context: CommandContext,
  client: Awaited<ReturnType<CommandContext['client']>>,
  request: Buffer,
): Promise<void> {
  const bytes = await client.call(method.txn, 'write', request, {
    timeoutMs: Number.POSITIVE_INFINITY,
    signal: context.io.interrupted,
  });
  await print(context, txnShown(bytes, context.global));
}

async function readPart<Read>(
  lines: Lines,
  read: (line: KeyString) => Promise<Read> | Read,
): Promise<Read[]> {
  const all: Read[] = [];
  for (;;) {
    const line = await lines.next();
    if (line === undefined) throw wrong('EOF');
    const trimmed = line.replace(/^[\t-\r ]+|[\t-\r ]+$/g, '');
    if (trimmed === '') return all;
    all.push(await read(trimmed));
  }
}
