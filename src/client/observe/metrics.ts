/**
 * Numbers of a client through a meter of OpenTelemetry (@opentelemetry/api), of which only these
 * methods are used: the package does not depend on it.
 */

import type { Hooks } from '../call/index.js';
import { grpcOf } from './method-parts.js';

type Attributes = Readonly<Record<string, string | number | boolean>>;

/** What is needed of a meter. */
export interface MeterLike {
  createCounter(
    name: string,
    options?: { readonly description?: string },
  ): {
    add(value: number, attributes?: Attributes): void;
  };
  createHistogram(
    name: string,
    options?: { readonly description?: string; readonly unit?: string },
  ): { record(value: number, attributes?: Attributes): void };
}

const secondMs = 1000;

/** For `hooks`: durations of calls; retries, reconnects, and what becomes of watches and leases. */
export function metricsHook(meter: MeterLike): Hooks {
  const duration = meter.createHistogram('rpc.client.duration', {
    description: 'How long calls took, retries included',
    unit: 's',
  });
  const counter = (name: string, description: string) => meter.createCounter(name, { description });
  const retries = counter('etcd.client.retries', 'Calls that were sent again');
  const connects = counter('etcd.client.connects', 'Connections made, or that could not be made');
  const watches = counter('etcd.client.watches', 'Watches created, resumed, paused and ended');
  const leases = counter('etcd.client.leases', 'Leases renewed, warned of, lost and stopped');
  return {
    onEvent(event) {
      switch (event.type) {
        case 'callEnded': {
          const code = codeOf(event.error);
          const attributes = { ...grpcOf(event.method), 'rpc.response.status_code': code };
          return duration.record(event.durationMs / secondMs, attributes);
        }
        case 'retry':
          return retries.add(1, grpcOf(event.method));
        case 'connected':
        case 'connectFailed':
        case 'disconnected':
          return connects.add(1, { what: event.type, 'server.address': event.endpoint });
        case 'watchCreated':
          return watches.add(1, { what: event.resumed ? 'resumed' : 'created' });
        case 'watchPaused':
        case 'watchEnded':
          return watches.add(1, { what: event.type.slice('watch'.length).toLowerCase() });
        case 'leaseRenewed':
        case 'leaseWarning':
        case 'leaseLost':
        case 'leaseStopped':
          return leases.add(1, { what: event.type.slice('lease'.length).toLowerCase() });
        default:
          return undefined;
      }
    },
  };
}

function codeOf(error: Error | undefined): string {
  if (error === undefined) return 'OK';
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' ? code : 'UNKNOWN';
}
