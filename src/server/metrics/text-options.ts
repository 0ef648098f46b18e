/** What the text of /metrics may hold. */

import type { LoopLag } from './loop-lag.js';

export interface MetricsTextOptions {
  /** --metrics=extensive: also grpc_server_handling_seconds. */
  readonly extensive: boolean;
  readonly versions: { readonly kvorum: string; readonly etcd: string; readonly node: string };
  /**
   * process_* and nodejs_*, which are those of the whole process; off when several nodes share it.
   */
  readonly process: boolean;
  readonly loopLag: (() => LoopLag) | undefined;
}

/** Made anew at each call. */
export type MetricsText = () => Promise<{ readonly body: string; readonly contentType: string }>;
