/** grpc.health.v1.Health. */

import { grpc } from '../generated/etcd.js';
import { int32, message, messageMap, text } from './codec.js';

/** HealthCheckResponse.ServingStatus by name. */
export const ServingStatus = {
  UNKNOWN: 0,
  SERVING: 1,
  NOT_SERVING: 2,
  SERVICE_UNKNOWN: 3,
} as const;

export const healthCheckRequest = message(grpc.health.v1.HealthCheckRequest, {
  service: text('service'),
});
export const healthCheckResponse = message(grpc.health.v1.HealthCheckResponse, {
  /** See {@link ServingStatus}. */
  status: int32('status'),
});
export const healthListRequest = message(grpc.health.v1.HealthListRequest, {});
export const healthListResponse = message(grpc.health.v1.HealthListResponse, {
  statuses: messageMap('statuses', healthCheckResponse),
});
