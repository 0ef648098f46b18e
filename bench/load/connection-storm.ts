/** Many clients that come at once: each connects, asks for a key, and stays. */

import { encodeRangeRequest } from '../../src/proto/index.js';
import type { GrpcClient } from '../../src/transport/index.js';
import type { RunningLoad } from './loops.js';
import { call, connect } from './pool.js';
import type { Recorder } from './recorder.js';
import { methods } from './sources.js';
import type { LoadSpec } from './types.js';

const patienceMs = 120_000;

/** Connects `clients` times when the measured time begins; has finished when all are answered. */
export async function startConnectionStorm(
  _pool: readonly GrpcClient[],
  spec: LoadSpec,
  recorder: Recorder,
): Promise<RunningLoad> {
  const connected: GrpcClient[] = [];
  const request = encodeRangeRequest({ key: 'ready', serializable: true });
  const come = async (i: number): Promise<void> => {
    const startedMs = performance.now();
    try {
      const endpoint = spec.endpoints[i % spec.endpoints.length] ?? '';
      const client = await connect(endpoint, patienceMs, spec.identity);
      connected.push(client);
      await call(client, methods.range, request, patienceMs);
      recorder.done(startedMs, performance.now());
    } catch (error) {
      recorder.failed(String(error));
    }
  };
  const ended = new Promise<void>((resolve) => {
    recorder.onBegin = () => {
      const all = Array.from({ length: spec.clients }, (_none, i) => come(i));
      Promise.all(all).then(() => resolve());
    };
  });
  return {
    ended,
    async stop() {
      for (const client of connected) client.destroy();
    },
  };
}
