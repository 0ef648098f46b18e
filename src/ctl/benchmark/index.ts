/** `bench`: etcd's benchmark, for what most clients do. */

import { command } from '../command/index.js';
import { putBench, rangeBench, txnPutBench } from './kv.js';
import { leaseBench } from './lease.js';
import { watchBench, watchLatencyBench } from './watch.js';

export const benchCommands = [
  command({
    name: 'bench',
    short: "Measures what the cluster can do, with the flags of etcd's benchmark",
    long:
      'Loads the cluster and reports latencies: not for one that others need.\n' +
      'What it puts stays, under --prefix: kvorum del --prefix kvorum-bench/ removes it.',
    group: 'Commands that look',
    beyondEtcdctl: true,
    commands: [putBench, rangeBench, txnPutBench, watchBench, watchLatencyBench, leaseBench],
  }),
];
