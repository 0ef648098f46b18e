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
import type { Serving } from './serving.js';
import { unaryMethod } from './unary.js';

/** The health service of gRPC. */
export function healthFeature(host: Host, serving: Serving): Feature {
  return { name: 'health', methods: healthMethods(host, serving) };
}

function healthMethods(host: Host, state: Serving): Array<readonly [string, MethodHandler]> {
  const now = () => (state.isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  const current = () => healthCheckResponse.encode({ status: now() });
  const unknown = healthCheckResponse.encode({ status: ServingStatus.SERVICE_UNKNOWN });
  return [
    unaryMethod(host, '/grpc.health.v1.Health/Check', (bytes, call) => {
      if (healthCheckRequest.decode(bytes).service === '') call.reply(current());
      else call.fail(GrpcCode.NOT_FOUND, 'unknown service');
    }),
    unaryMethod(host, '/grpc.health.v1.Health/List', (_bytes, call) => {
      const statuses = new Map([['', { status: now() }]]);
      call.reply(healthListResponse.encode({ statuses }));
    }),
    unaryMethod(
      host,
      '/grpc.health.v1.Health/Watch',
      (bytes, call) => {
        // The stream stays open.
        if (healthCheckRequest.decode(bytes).service !== '') {
          call.send(unknown);
          return;
        }
        call.send(current());
        call.onCancel = state.onChange(() => call.send(current()));
      },
      'serverStream',
    ),
  ];
}
