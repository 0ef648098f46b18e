/**
 * The registry of services: `<service>/<id>` -> an instance as Go's `naming/endpoints` of etcd
 * writes it, so that services in Go find ours, and ours those in Go.
 */

import { callShape } from '../call/index.js';
import type { EtcdClient } from '../client.js';
import { invalidOption } from '../errors.js';
import { bytes } from '../keyspace/index.js';
import {
  aFunction,
  anObject,
  anything,
  aText,
  checkOptions,
  described,
  flag,
  positive,
  type Shape,
} from '../strict/index.js';
import { encodeInstance, snapshotOf } from './endpoint-json.js';
import { LiveServiceRun } from './live-service.js';
import { RegistrationRun } from './registration.js';
import type { RegisterOptions, Registry, RegistryOptions } from './types.js';

const registryShape: Shape<RegistryOptions<unknown, unknown>> = {
  view: anything,
  metadata: anObject,
};

const registerShape: Shape<RegisterOptions<unknown>> = {
  signal: callShape.signal,
  timeoutMs: callShape.timeoutMs,
  service: aText,
  id: aText,
  address: aText,
  metadata: anything,
  ttlSeconds: positive,
  session: anObject,
  exclusive: flag,
  onAway: aFunction,
  onBack: aFunction,
};

/** Registers instances of services and finds them. */
export function registry<Out = unknown, In = Out>(
  client: EtcdClient,
  options: RegistryOptions<In, Out> = {},
): Registry<Out, In> {
  checkOptions('registry', options, registryShape);
  const kv = (options.view ?? client.kv).as(bytes);
  const { metadata: schema } = options;
  return {
    register: (given) => {
      // Left out is undefined; RegisterArgument lets only those do it for whom that is right.
      const asked = given as RegisterOptions<In>;
      checkOptions('register', asked, registerShape);
      const key = `${prefixOf(asked.service)}${nonEmpty('id', asked.id)}`;
      nonEmpty('address', asked.address);
      const encode = (address: string, metadata: In): Buffer =>
        encodeInstance(schema, asked.id, address, metadata);
      return new RegistrationRun(client, kv, key, asked, encode).start();
    },
    list: async (service, callOptions) => {
      const prefix = prefixOf(service);
      const { kvs, revision } = await kv.range({ prefix }, callOptions);
      return snapshotOf(schema, service, prefix, revision, kvs);
    },
    watch: (service, { signal } = {}) =>
      new LiveServiceRun({ client, kv, service, prefix: prefixOf(service), schema, signal }),
  };
}

function prefixOf(service: string): string {
  return `${nonEmpty('service', service)}/`;
}

function nonEmpty(what: string, given: string): string {
  if (typeof given !== 'string')
    throw invalidOption(`${what} must be text, not ${described(given)}`);
  if (given === '') throw invalidOption(`${what} must not be empty`);
  return given;
}
