/** A lease that is kept alive, and work that stops when it may be lost. */

import { Etcd, text } from '../../src/client/index.js';
import { type Example, runIfMain } from './run.js';

export const leaseExample: Example = async (endpoint, print) => {
  await using client = new Etcd(endpoint);
  const kv = client.kv.namespace('/example/lease/').as(text);
  {
    await using lease = await client.leases.create(10, {
      onWarning: (remainingMs) => print(`no renewal for a while, ${remainingMs} ms left`),
      onLost: (error) => print(error.message),
    });
    await kv.put('worker', 'alive', { lease });
    print(`granted ${lease.ttlSeconds} s, ${lease.state}`);

    // Anything that takes an AbortSignal stops before somebody else can have taken over.
    const { signal } = lease;
    await kv.put('progress', '50%', { lease, signal });
    print(`worker is ${(await kv.get('worker'))?.value}`);
  } // revoked here, and with it the keys
  print(`worker is ${(await kv.get('worker'))?.value ?? 'gone'}`);
};

runIfMain(import.meta.url, leaseExample);
