/**
 * Before a server serves, the code that it will serve with is exercised on a scratch member: V8
 * compiles what has run a few hundred times, and until then a call costs ten times what it costs
 * later. The scratch member keeps everything in memory, has no socket and knows of no other member;
 * when this is over nothing is left of it but compiled code.
 */

import { type Clock, silentLogger } from '../../common/index.js';
import { defaultConfig, startServer } from '../../server/index.js';
import { memoryPorts } from '../../sim/member/index.js';
import { connectGrpc } from '../../transport/index.js';
import { exercise } from './exercise.js';
import { pipeNetwork } from './pipe-network.js';

/** Where the scratch member's clients find it; nothing of the machine is taken. */
const clientUrl = 'http://localhost:2379';
const peerUrl = 'http://localhost:2380';

export interface WarmUpOptions {
  readonly clock: Clock;
  /** No call begins later than this after the call of `warmUp`. */
  readonly budgetMs: number;
  /** No call begins any more once it aborts. */
  readonly signal?: AbortSignal;
}

/** What a warm-up came to. */
export interface WarmUpReport {
  /** Calls answered by the scratch member. */
  readonly answers: number;
  readonly tookMs: number;
}

/** Resolves once the scratch member is gone. Rejects if something of it failed, which is a bug. */
export async function warmUp({ clock, budgetMs, signal }: WarmUpOptions): Promise<WarmUpReport> {
  const startMs = clock.nowMs();
  const continues = (): boolean => clock.nowMs() - startMs < budgetMs && signal?.aborted !== true;
  const network = pipeNetwork();
  const config = defaultConfig(
    ...['--data-dir=/warm-up', `--listen-client-urls=${clientUrl}`],
    ...[`--advertise-client-urls=${clientUrl}`, `--listen-peer-urls=${peerUrl}`],
    ...[`--initial-advertise-peer-urls=${peerUrl}`, `--initial-cluster=default=${peerUrl}`],
  );
  const server = await startServer(config, { ...memoryPorts(silentLogger), clock, network });
  let answers = 0;
  try {
    const address = { host: 'localhost', port: 2379 };
    const client = await connectGrpc({ clock, network, address });
    try {
      answers = await exercise(client, continues);
    } finally {
      client.destroy();
    }
  } finally {
    await server.stop();
  }
  return { answers, tookMs: clock.nowMs() - startMs };
}
