/**
 * Lock and Election as a feature without state of its own: all that they know is in the keys. They
 * are the recipes of etcd's clients, run by the member in the name of its clients (C-7).
 */

import type { Feature, Host } from '../feature/index.js';
import type { Lines } from './candidate.js';
import { electionMethods } from './election.js';
import { lockMethods } from './lock.js';
import { observeMethod } from './observe.js';
import { Queues } from './queues.js';
import type { Methods } from './recipe-calls.js';
import { RunningCalls } from './running-calls.js';
import { Withdrawals } from './withdrawals.js';

/** The RPCs of the other features. */
export interface ConcurrencyCalls {
  /** Behind the guards, not counted as calls of clients. */
  readonly ofClients: () => Methods;
  /** Without guards: for what the member does by itself. */
  readonly ofMember: () => Methods;
}

export function concurrencyFeature(host: Host, calls: ConcurrencyCalls): Feature {
  const withdrawals = new Withdrawals(calls.ofMember, host);
  const lines: Lines = { queues: new Queues(), withdrawals };
  const running = new RunningCalls(host, calls.ofClients);
  return {
    name: 'concurrency',
    methods: [
      ...lockMethods(host, running, lines),
      ...electionMethods(host, running, lines),
      observeMethod(host, running),
    ],
    retire() {
      running.end();
      withdrawals.end();
    },
  };
}
