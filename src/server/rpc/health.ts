/** grpc.health.v1: the one service name that etcd answers for is the empty one. */

import { GrpcCode } from '../../common/index.js';
import {
  healthCheckRequest,
  healthCheckResponse,
  healthListResponse,
  ServingStatus,
} from '../../proto/index.js';
import type { MethodHandler } from '../../transport/index.js';
import type { Feature, Host } from '../feature/index.js';
import { unaryMethod } from './unary.js';

/** The health service of gRPC, as a feature without state. */
export function healthFeature(host: Host): Feature {
  return { name: 'health', methods: healthMethods(host) };
}

function healthMethods(host: Host): Array<readonly [string, MethodHandler]> {
  const serving = healthCheckResponse.encode({ status: ServingStatus.SERVING });
  const unknown = healthCheckResponse.encode({ status: ServingStatus.SERVICE_UNKNOWN });
  return [
    unaryMethod(host, '/grpc.health.v1.Health/Check', (bytes, call) => {
      if (healthCheckRequest.decode(bytes).service === '') call.reply(serving);
      else call.fail(GrpcCode.NOT_FOUND, 'unknown service');
    }),
    unaryMethod(host, '/grpc.health.v1.Health/List', (_bytes, call) => {
      const statuses = new Map([['', { status: ServingStatus.SERVING }]]);
      call.reply(healthListResponse.encode({ statuses }));
    }),
    unaryMethod(
      host,
      '/grpc.health.v1.Health/Watch',
      (bytes, call) => {
        // The stream stays open; the status of a running node does not change until it stops.
        call.send(healthCheckRequest.decode(bytes).service === '' ? serving : unknown);
      },
      'serverStream',
    ),
  ];
}
