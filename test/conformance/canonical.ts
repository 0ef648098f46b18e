/** Between the messages on the wire and those of the model (see model-types.ts). */

import { asFailure, bytes } from '../helpers/grpc.js';
import { targetMinor } from '../helpers/target.js';
import type { Answer } from './model-types.js';

/** Who answers: the ids that a complete header carries. */
export interface Identity {
  readonly clusterId: string;
  readonly memberId: string;
}

/**
 * A model's request as a wire message: every text becomes bytes. An empty text is sent as a field
 * of length 0, which must mean the same as no field; etcd 3.4 took a range_end that was sent empty
 * for an open range, so for the old one it is left out.
 */
export function toWire<T extends object>(request: T): object {
  return mapObject(request, (value) => {
    if (typeof value === 'string')
      return value === '' && targetMinor < 5 ? undefined : bytes(value);
    if (Array.isArray(value)) return value.map((one) => (isObject(one) ? toWire(one) : one));
    return isObject(value) ? toWire(value) : value;
  });
}

/** A reply as the model writes it: bytes as text, numbers as numbers, headers reduced. */
export function fromWire(message: object, identity: Identity): object {
  const convert = (value: unknown): unknown => {
    if (Buffer.isBuffer(value)) return value.toString('latin1');
    if (typeof value === 'string' && /^-?\d+$/.test(value)) return Number(value);
    if (Array.isArray(value)) return value.map(convert);
    return isObject(value) ? fromWire(value, identity) : value;
  };
  if ('cluster_id' in message) return canonicalHeader(message, identity);
  // The loader adds a member with the name of the set one of a oneof.
  const { response: _oneof, ...fields } = message as Readonly<Record<string, unknown>>;
  return mapObject(fields, convert);
}

/** What a call answered, as the model writes it. */
export async function answerOf(call: Promise<object>, identity: Identity): Promise<Answer> {
  let message: object;
  try {
    message = await call;
  } catch (error) {
    return { error: asFailure(error) };
  }
  return { reply: fromWire(message, identity) };
}

function canonicalHeader(header: object, identity: Identity): object {
  const fields = header as Readonly<Record<string, unknown>>;
  const ids = [fields.cluster_id, fields.member_id, Number(fields.raft_term) > 0];
  const own = [identity.clusterId, identity.memberId, true];
  const none = ['0', '0', false];
  return {
    revision: Number(fields.revision),
    ids: equal(ids, own) ? 'own' : equal(ids, none) ? 'none' : ids,
  };
}

function equal(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.every((value, index) => value === b[index]);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Buffer.isBuffer(value);
}

function mapObject(object: object, map: (value: unknown) => unknown): object {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
}
