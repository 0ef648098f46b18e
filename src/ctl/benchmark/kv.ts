/** `bench put`, `bench range`, `bench txn-put` */

import { method } from '../../client/raw/index.js';
import { encodeRangeRequest, encodeTxnRequest } from '../../proto/index.js';
import { CommandError, command, exit, flag } from '../command/index.js';
import { runLoad } from './load.js';
import { keysOf, put, valueOfSize } from './requests.js';
import { keyFlags, type Part, runParts, sharedFlags } from './run.js';

const rateFlag = (what: string) => flag.int(0, `${what} a second, 0: as fast as they are answered`);

export const putBench = command({
  name: 'put',
  short: 'Puts keys',
  beyondEtcdctl: true,
  flags: {
    ...sharedFlags,
    ...keyFlags,
    'val-size': flag.int(8, 'bytes of a value'),
    total: flag.int(10_000, 'puts'),
    rate: rateFlag('puts'),
    'sequential-keys': flag.bool(false, 'keys in order instead of all over'),
  },
  run(context, _args, flags) {
    const keyOf = keysOf(flags, flags['sequential-keys']);
    const value = valueOfSize(flags['val-size']);
    const part: Part = {
      ...{ title: 'put', total: flags.total },
      run: (bench, outcome) =>
        runLoad(
          {
            ...{ ...bench, clock: context.io.clock, total: flags.total, rate: flags.rate },
            call: (client, number) => put(client, keyOf(number), value),
          },
          outcome,
        ),
    };
    return runParts(context, flags, [part]);
  },
});

export const rangeBench = command({
  name: 'range',
  usage: 'key [end-range]',
  short: 'Reads a key or a range of keys',
  beyondEtcdctl: true,
  flags: {
    ...sharedFlags,
    total: flag.int(10_000, 'ranges'),
    rate: rateFlag('ranges'),
    consistency: flag.string('l', 'linearizable (l) or serializable (s)'),
    limit: flag.int(0, 'most keys in an answer; 0: no limit'),
    'count-only': flag.bool(false, 'ask for the number of keys only'),
  },
  run(context, args, flags) {
    const [key, rangeEnd = ''] = args;
    if (key === undefined || args.length > 2) {
      throw new CommandError(
        'bench range needs a key, and perhaps the end of a range',
        exit.badArguments,
      );
    }
    const { consistency, total, rate, limit } = flags;
    if (consistency !== 'l' && consistency !== 's') {
      throw new CommandError('--consistency is l or s', exit.badArguments);
    }
    const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
    const request = encodeRangeRequest({
      ...{ key: latin1(key), rangeEnd: latin1(rangeEnd), limit },
      ...{ serializable: consistency === 's', countOnly: flags['count-only'] },
    });
    const part: Part = {
      ...{ title: 'range', total },
      run: (bench, outcome) =>
        runLoad(
          {
            ...{ ...bench, clock: context.io.clock, total, rate },
            async call(client) {
              await client.call(method.range, 'read', request);
            },
          },
          outcome,
        ),
    };
    return runParts(context, flags, [part]);
  },
});

export const txnPutBench = command({
  name: 'txn-put',
  short: 'Puts keys in transactions',
  beyondEtcdctl: true,
  flags: {
    ...sharedFlags,
    ...keyFlags,
    'val-size': flag.int(8, 'bytes of a value'),
    total: flag.int(10_000, 'transactions'),
    'txn-ops': flag.int(1, 'puts of a transaction'),
    rate: rateFlag('transactions'),
  },
  run(context, _args, flags) {
    const { 'txn-ops': ops, total, rate } = flags;
    if (ops < 1 || ops > flags['key-space-size']) {
      const said = '--txn-ops must be above 0 and at most --key-space-size: no key twice in one';
      throw new CommandError(said, exit.badArguments);
    }
    const keyOf = keysOf(flags, true);
    const value = valueOfSize(flags['val-size']);
    const request = (number: number) =>
      encodeTxnRequest({
        compare: [],
        success: Array.from({ length: ops }, (_, i) => ({
          type: 'put' as const,
          request: {
            ...{ key: keyOf(number * ops + i), value, lease: 0n },
            ...{ prevKv: false, ignoreValue: false, ignoreLease: false },
          },
        })),
        failure: [],
      });
    const part: Part = {
      ...{ title: 'txn-put', total },
      run: (bench, outcome) =>
        runLoad(
          {
            ...{ ...bench, clock: context.io.clock, total, rate },
            async call(client, number) {
              await client.call(method.txn, 'write', request(number));
            },
          },
          outcome,
        ),
    };
    return runParts(context, flags, [part]);
  },
});
