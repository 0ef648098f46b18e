/** One question to a cluster, by the codecs of its message. */

import type { CallKind, EndpointOptions, RawClient } from '../../client/raw/index.js';
import type { Codec } from '../../proto/index.js';

/** A method, and what goes in and out. */
export interface Rpc<Request, Response> {
  /** The full name: `/etcdserverpb.Cluster/MemberList`. */
  readonly method: string;
  /** Whether it may be sent twice. */
  readonly kind: CallKind;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

/** An answer as it came, for what shows it whole, and as data. */
export interface Answer<Response> {
  readonly bytes: Buffer;
  readonly message: Response;
}

/** Rejects with EtcdClientError. */
export async function ask<Request, Response>(
  client: RawClient,
  { method, kind, request, response }: Rpc<Request, Response>,
  message: Partial<Request>,
  options?: EndpointOptions,
): Promise<Answer<Response>> {
  const bytes = await client.call(method, kind, request.encode(message), options);
  return { bytes, message: response.decode(bytes) };
}
