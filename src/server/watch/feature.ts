/** Watches: who is told of each committed revision. */

import { grpcOverheadBytes } from '../../common/index.js';
import type { Feature, Host } from '../feature/index.js';
import { WatchHub } from './hub.js';
import { defaultWatchLimits } from './limits.js';
import { watchHandler } from './rpc.js';

export interface WatchFeature extends Feature {
  readonly hub: WatchHub;
}

export function watchFeature(host: Host): WatchFeature {
  const { clock, config, leadership, metrics, random, store } = host;
  const hub = new WatchHub({
    store,
    clock,
    random,
    header: (revision) => host.headers.header(revision, host.term()),
    limits: {
      ...defaultWatchLimits,
      fragmentBytes: config.requestBytesMax + grpcOverheadBytes,
      progressIntervalMs: config.watchProgressIntervalMs,
    },
    sendLoop: metrics.watchSendLoop,
    fatal: (error) => host.fail(error),
  });
  const handle = watchHandler({ hub, leader: leadership, refusal: () => undefined });
  return {
    name: 'watch',
    hub,
    commits: hub,
    methods: [['/etcdserverpb.Watch/Watch', { kind: 'bidi', handle }]],
    gauges() {
      const { counters } = hub;
      metrics.eventsTotal = counters.eventsTotal;
      return {
        watchers: counters.watchers,
        watchStreams: counters.streams,
        slowWatchers: counters.slowWatchers,
        pendingEvents: counters.pendingEvents,
      };
    },
    restore: () => hub.syncAfterRestore(),
    // Before the store: catching up reads from it.
    close: () => hub.close(),
  };
}
