/** A unary call whose messages have table-driven codecs. */

import type { Codec } from '../../proto/index.js';
import type { Caller } from './caller.js';
import type { CallKind } from './failed-call.js';
import type { EndpointOptions } from './types.js';

/** One unary call of a service whose messages have table-driven codecs. */
export async function callWithCodecs<Request, Response>(
  caller: Caller,
  name: string,
  kind: CallKind,
  codecs: readonly [Codec<Request>, Codec<Response>],
  request: Partial<Request>,
  options: EndpointOptions | undefined,
): Promise<Response> {
  const [encode, decode] = codecs;
  return decode.decode(await caller.call(name, kind, encode.encode(request), options));
}
