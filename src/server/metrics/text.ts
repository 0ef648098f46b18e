/** The text of /metrics, from a library that is loaded when somebody scrapes for the first time. */

import type { Metrics } from './metrics.js';
import type { MetricsText, MetricsTextOptions } from './text-options.js';

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
