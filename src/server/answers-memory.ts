/** How much memory answers may take, and who counts it: one for all ports that clients come to. */

import type { Clock } from '../common/index.js';
import { SendRoom, transportLimitsDefault } from '../transport/index.js';
import type { Metrics } from './metrics/index.js';
import type { ServerConfig } from './options/index.js';

/** What the process may use; see ServerPorts. */
export interface ProcessMemory {
  readonly bytes: number;
  /** Of it, of JavaScript objects: there are some for each record of an answer. */
  readonly heapBytes: number;
}

/** Below this not even a few values of the usual size are answered at the same time. */
const bytesMin = 64 * 1024 * 1024;

/** Limits of the transport for answers. */
export function answerLimits(
  { answersMemoryBytes }: Pick<ServerConfig, 'answersMemoryBytes'>,
  memory: ProcessMemory | undefined,
) {
  const { connectionBacklogBytesMax, serverBacklogBytesMax } = transportLimitsDefault;
  let bytes = answersMemoryBytes || serverBacklogBytesMax;
  if (answersMemoryBytes === 0 && memory !== undefined) {
    bytes = Math.min(bytes, Math.max(bytesMin, memory.bytes / 4));
    bytes = Math.min(bytes, Math.max(bytesMin, memory.heapBytes / 2));
  }
  return {
    serverBacklogBytesMax: bytes,
    // One connection leaves most of it to others.
    connectionBacklogBytesMax: Math.min(connectionBacklogBytesMax, bytes / 4),
  };
}

/** The room of a server; its figures are in the metrics. */
export function answerRoom(
  config: ServerConfig,
  clock: Clock,
  memory: ProcessMemory | undefined,
  metrics: Metrics,
): SendRoom {
  const limits = { ...transportLimitsDefault, ...answerLimits(config, memory) };
  const room = new SendRoom(clock, limits, metrics.answers);
  metrics.answers.attach(room, limits.serverBacklogBytesMax);
  return room;
}
