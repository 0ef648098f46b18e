/** Turns what `etcdctl -w protobuf` wrote into text that can be masked and compared. */

import { decodeMessage } from '../../helpers/grpc.js';

/** Decoder for the response of a KV rpc. */
export function asText(method: 'Range' | 'Put' | 'DeleteRange' | 'Txn'): (out: Buffer) => string {
  return (stdout) => {
    const message = decodeMessage(['etcdserverpb.KV', method], stdout);
    return JSON.stringify(message, (_key, value: unknown) =>
      isBufferJson(value) ? Buffer.from(value.data).toString('latin1') : value,
    );
  };
}

function isBufferJson(value: unknown): value is { readonly data: number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
}
