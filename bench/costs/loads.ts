/** The loads whose costs are counted. An operation is what a client would call one. */

import {
  compareOf,
  encodeLeaseGrantRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  encodeWatchCreateRequest,
} from '../../src/proto/index.js';
import { keyOf, newValue } from '../load/keys.js';
import { methods } from '../load/sources.js';
import type { CostRequest } from './connection.js';

/** What one round of a load does: it is over when `answers` more have come. */
export interface CostLoad {
  /** Sent in one turn of the event loop, spread over as many connections. */
  readonly requests: readonly CostRequest[];
  readonly connections: number;
  /** Connections with one watcher of all keys each. */
  readonly watchers: number;
  readonly operationsPerRound: number;
  /** An operation is an event, not a call. */
  readonly countsEvents: boolean;
  /** Sent once before it begins. */
  readonly before?: readonly CostRequest[];
}

const keyBytes = 32;
/** Names of keys that a load puts; all of them are there before it is measured. */
const keys = 1000;
const watched = '/';

function call(path: string, message: Buffer): CostRequest {
  return { path, message, endStream: true };
}

const values = { small: newValue(256, 1), large: newValue(3072, 2) };

function put(i: number, value: Buffer): CostRequest {
  return call(methods.put, encodePutRequest({ key: keyOf(i % keys, keyBytes), value }));
}

function range(i: number): CostRequest {
  return call(methods.range, encodeRangeRequest({ key: keyOf(i % keys, keyBytes) }));
}

/** An update as Kubernetes' API server makes it, but for the revision: if it is there, put it. */
function update(i: number): CostRequest {
  const key = keyOf(i % keys, keyBytes);
  const { large: value } = values;
  const request = { key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  return call(
    methods.txn,
    encodeTxnRequest({
      compare: [compareOf({ key, targetUnion: 'version', result: 1 })],
      success: [{ type: 'put', request }],
      failure: [],
    }),
  );
}

const grant = call(methods.leaseGrant, encodeLeaseGrantRequest({ ttlSeconds: 600, id: 0n }));

/** Opens a watch of every key. */
export const watchAll: CostRequest = {
  path: methods.watch,
  message: encodeWatchCreateRequest({ key: watched, rangeEnd: '0' }),
  endStream: false,
};

/** Puts every key that the loads use once. */
export const firstPuts = Array.from({ length: keys }, (_, i) => put(i, values.small));

function calls(count: number, connections: number, request: (i: number) => CostRequest): CostLoad {
  const requests = Array.from({ length: count }, (_, i) => request(i));
  return { requests, connections, watchers: 0, operationsPerRound: count, countsEvents: false };
}

/** A page of a list, as Kubernetes' API server asks for it, of objects with large values. */
function list(objects: number): CostLoad {
  const request = call(
    methods.range,
    encodeRangeRequest({ key: keyOf(0, keyBytes), rangeEnd: '0', limit: objects }),
  );
  const before = Array.from({ length: objects }, (_, i) => put(i, values.large));
  return { ...calls(1, 1, () => request), before };
}

function events(puts: number, watchers: number, value: Buffer): CostLoad {
  const load = calls(puts, 1, (i) => put(i, value));
  return { ...load, watchers, operationsPerRound: puts * watchers, countsEvents: true };
}

/** By name: what is asked, and how much of it at once. */
export const costLoads: Readonly<Record<string, CostLoad>> = {
  'put-1': calls(1, 1, (i) => put(i, values.small)),
  'put-64': calls(64, 8, (i) => put(i, values.small)),
  'put-3k-16': calls(16, 4, (i) => put(i, values.large)),
  'txn-update-3k-16': calls(16, 4, update),
  'range-1': calls(1, 1, range),
  'range-64': calls(64, 8, range),
  'list-3k-500': list(500),
  'lease-grant-64': calls(64, 8, () => grant),
  /** An operation is an event to one of a hundred watchers, each on a connection of its own. */
  'event-3k-1': events(1, 100, values.large),
  'event-8': events(8, 100, values.small),
};
