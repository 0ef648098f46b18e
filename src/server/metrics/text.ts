/** The text of /metrics, from a library that is loaded when somebody scrapes for the first time. */

import type { LoopLag } from './loop-lag.js';
import type { Metrics } from './metrics.js';

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

/** Loading the library takes a tenth of the time of a start, so it waits for the first call. */
export function loadMetricsText(metrics: Metrics, options: MetricsTextOptions): MetricsText {
  let text: Promise<MetricsText> | undefined;
  const load = async (): Promise<MetricsText> => {
    const { createMetricsText } = await import('./registry.js');
    return createMetricsText(metrics, options);
  };
  return async () => {
    text ??= load();
    return (await text)();
  };
}
