/** Puts and gets in turn at a steady rate, a row for each second: what clients see of a start. */

import type { GrpcClient } from '../../src/transport/index.js';
import { type RunningLoad, startLoop } from './loops.js';
import type { Recorder } from './recorder.js';
import { putSource, rangeSource } from './sources.js';
import type { LoadSpec } from './types.js';

/** The rows of a result are named `second 1`, `second 2` ... */
export async function startAfterStart(
  pool: readonly GrpcClient[],
  spec: LoadSpec,
  recorder: Recorder,
): Promise<RunningLoad> {
  const [put, get] = [putSource(spec), rangeSource(spec, false)];
  let turn = put;
  const source = {
    get method() {
      return turn.method;
    },
    next() {
      turn = turn === put ? get : put;
      return turn.next();
    },
  };
  const { clients, callsPerSecond } = spec;
  let load: RunningLoad | undefined;
  let second = 1;
  let timer: NodeJS.Timeout | undefined;
  recorder.onBegin = () => {
    recorder.phase(`second ${second}`);
    timer = setInterval(() => recorder.phase(`second ${++second}`), 1000);
    load = startLoop({ pool, recorder, source, clients, callsPerSecond });
  };
  return {
    async stop() {
      clearInterval(timer);
      await load?.stop();
    },
  };
}
