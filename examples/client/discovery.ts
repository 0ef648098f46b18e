/** Services that register, and a caller that picks from the live list. */

import {
  Etcd,
  leastLoaded,
  picker,
  registry,
  type StandardSchema,
  zoneAware,
} from '../../src/client/index.js';
import { type Example, runIfMain } from './run.js';

interface Place {
  readonly zone: string;
}

/** Any Standard Schema will do (zod, valibot, arktype); this is what they are underneath. */
const place: StandardSchema<Place> = {
  '~standard': {
    version: 1,
    vendor: 'example',
    validate: (value) =>
      typeof (value as Partial<Place> | null)?.zone === 'string'
        ? { value: value as Place }
        : { issues: [{ message: 'a zone is missing' }] },
  },
};

export const discoveryExample: Example = async (endpoint, print) => {
  await using client = new Etcd(endpoint);
  const view = client.kv.namespace('/example/services/');
  const services = registry(client, { view, metadata: place });

  // In each server: registered as long as it lives, and again after an outage.
  const servers = [
    ['a', '10.0.0.1:80', 'north'],
    ['b', '10.0.0.2:80', 'north'],
    ['c', '10.0.1.1:80', 'south'],
  ] as const;
  const [first] = await Promise.all(
    servers.map(([id, address, zone]) =>
      services.register({ service: 'pay', id, address, metadata: { zone }, ttlSeconds: 10 }),
    ),
  );

  // In each caller: a list that follows.
  await using pay = services.watch('pay');
  await pay.ready;
  print(pay.current.instances.map(({ id, address }) => `${id}=${address}`).join(' '));

  const near = zoneAware<Place>({
    zone: 'north',
    zoneOf: ({ metadata }) => metadata.zone,
    among: leastLoaded(),
  });
  const next = picker(pay, near);
  {
    using one = next.pick();
    using two = next.pick();
    print(`calls go to ${one?.instance.id} and ${two?.instance.id}`);
  } // both calls have ended

  await first?.close();
  for await (const { instances } of pay) {
    if (instances.some(({ id }) => id === 'a')) continue;
    print(`left: ${instances.map(({ id }) => id).join(' ')}`);
    break;
  }
  const retry = next.pick(new Set(['b'])); // the call to b has failed
  print(`then to ${retry?.instance.id}`);
};

runIfMain(import.meta.url, discoveryExample);
