/** Which transport connections are made with. */

import { assertNever } from '../../common/index.js';
import type { Dial } from './link.js';
import { dialNative } from './native-link.js';
import type { TransportName } from './types.js';

/** The way to connect that this transport has. */
export function dialOf(transport: TransportName): Dial {
  switch (transport) {
    case 'grpc-js':
      return dialGrpcJs;
    case 'native':
      return dialNative;
    default:
      return assertNever(transport, 'transport');
  }
}

/** Loaded when it is asked for: @grpc/grpc-js takes longer to load than all of the client. */
const dialGrpcJs: Dial = async (endpoint, options) => {
  const grpcJs = await import('./grpc-js-link.js');
  if (options.signal.aborted) throw new Error('the client was closed');
  return grpcJs.dialGrpcJs(endpoint, options);
};
