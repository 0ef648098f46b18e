/** A watcher of everything since the first revision, which catches up with what there is. */

import {
  decodeRangeResponse,
  encodeRangeRequest,
  encodeWatchCreateRequest,
} from '../../src/proto/index.js';
import type { GrpcClient } from '../../src/transport/index.js';
import { countEvents } from './events.js';
import type { RunningLoad } from './loops.js';
import { call } from './pool.js';
import type { Recorder } from './recorder.js';
import { methods } from './sources.js';
import type { LoadSpec } from './types.js';

/** The revision of the first write into an empty store. */
const firstRevision = 2;

/** Has finished when all events are there that were there when it began: one for each revision. */
export async function startCatchUp(
  pool: readonly GrpcClient[],
  _spec: LoadSpec,
  recorder: Recorder,
): Promise<RunningLoad> {
  const [connection] = pool;
  if (connection === undefined) throw new Error('no connections');
  const probe = await call(connection, methods.range, encodeRangeRequest({ key: 'ready' }));
  const behind = (decodeRangeResponse(probe).header?.revision ?? 0) - firstRevision + 1;
  const stream = connection.stream(methods.watch, {});
  let isRunning = true;
  const ended = new Promise<void>((resolve) => {
    let delivered = 0;
    stream.onStatus = ({ message }) => {
      if (isRunning) recorder.failed(`the watch ended: ${message}`);
      resolve();
    };
    stream.onMessage = (message) => {
      const events = countEvents(message);
      recorder.count(Math.min(events, behind - delivered));
      delivered += events;
      if (delivered >= behind) resolve();
    };
  });
  recorder.onBegin = () => {
    const everything = { key: '\0', rangeEnd: '\0' };
    stream.send(encodeWatchCreateRequest({ ...everything, startRevision: firstRevision }));
  };
  return {
    ended,
    async stop() {
      isRunning = false;
      stream.cancel();
    },
  };
}
