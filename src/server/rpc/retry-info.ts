/**
 * What tells a client when to come again: google.rpc.Status with a RetryInfo, the value of the
 * trailer `grpc-status-details-bin`, which gRPC libraries hand to whoever asks for the details.
 */

import type { GrpcCode } from '../../common/index.js';

const retryInfoType = 'type.googleapis.com/google.rpc.RetryInfo';

/** The encoded google.rpc.Status. */
export function retryDetails(code: GrpcCode, message: string, retryMs: number): Buffer {
  const seconds = Math.floor(retryMs / 1000);
  const nanos = Math.round((retryMs - 1000 * seconds) * 1e6);
  const duration = Buffer.concat([intField(1, seconds), intField(2, nanos)]);
  const any = Buffer.concat([
    bytesField(1, Buffer.from(retryInfoType)),
    bytesField(2, bytesField(1, duration)),
  ]);
  return Buffer.concat([
    intField(1, code),
    bytesField(2, Buffer.from(message)),
    bytesField(3, any),
  ]);
}

function intField(field: number, value: number): Buffer {
  return value === 0 ? Buffer.alloc(0) : Buffer.concat([varint(field * 8), varint(value)]);
}

function bytesField(field: number, value: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(value.length), value]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  while (left > 0x7f) {
    bytes.push((left % 0x80) + 0x80);
    left = Math.floor(left / 0x80);
  }
  bytes.push(left);
  return Buffer.from(bytes);
}
