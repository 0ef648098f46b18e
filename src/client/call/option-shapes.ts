/** What the options of every call must be. */

import { anObject, aSignal, aText, atLeast, type Shape } from '../strict/index.js';
import type { CallOptions, EndpointOptions } from './types.js';

export const callShape: Shape<CallOptions> = {
  signal: aSignal,
  timeoutMs: atLeast(0),
  metadata: anObject,
};

/** The part of the options that every call has. */
export function callOptionsOf({ signal, timeoutMs, metadata }: CallOptions): CallOptions {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

export const endpointShape: Shape<EndpointOptions> = { ...callShape, endpoint: aText };
