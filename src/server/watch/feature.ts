/** Watches: who is told of each committed revision. */

import { type Caller, EtcdError, GrpcCode, grpcOverheadBytes } from '../../common/index.js';
import type { WatchCreateRequest } from '../../proto/index.js';
import type { Access } from '../access/index.js';
import type { Feature, Host } from '../feature/index.js';
import { WatchHub } from './hub.js';
import { defaultWatchLimits } from './limits.js';
import { type WatchRpcOptions, watchHandler } from './rpc.js';

export interface WatchFeature extends Feature {
  readonly hub: WatchHub;
}

/** As Go's grpc names the codes that a watch is refused with. */
const goCodeNames: Readonly<Record<number, string>> = {
  [GrpcCode.INVALID_ARGUMENT]: 'InvalidArgument',
  [GrpcCode.PERMISSION_DENIED]: 'PermissionDenied',
  [GrpcCode.UNAUTHENTICATED]: 'Unauthenticated',
};

/** Why a watch is refused, in the words of Go's status: clients look for them in cancel_reason. */
function watchRefusal(access: Access): WatchRpcOptions['refusal'] {
  const refusalOf = (caller: Caller, { key, rangeEnd }: WatchCreateRequest): string | undefined => {
    // Of an empty key all keys are watched, as etcd does.
    const reason = caller.refusal ?? access.readRefusal(caller, key === '' ? '\0' : key, rangeEnd);
    if (reason === undefined) return undefined;
    const { code, message } = new EtcdError(reason);
    return `rpc error: code = ${goCodeNames[code]} desc = ${message}`;
  };
  return (request, call) => {
    if (!access.isEnabled) return undefined;
    const who = access.identifyAgain(call, call.caller);
    if (who instanceof Promise) return who.then((caller) => refusalOf(caller, request));
    return refusalOf(who, request);
  };
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
  const handle = watchHandler({ hub, leader: leadership, refusal: watchRefusal(host.access) });
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
    *restore() {
      return () => hub.syncAfterRestore();
    },
    // Before the store: catching up reads from it.
    close: () => hub.close(),
  };
}
