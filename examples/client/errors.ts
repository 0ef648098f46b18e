/** What can go wrong, and what to do about each. */

import { Etcd, EtcdClientError, isEtcdError, text } from '../../src/client/index.js';
import { type Example, runIfMain } from './run.js';

export const errorsExample: Example = async (endpoint, print) => {
  await using client = new Etcd({ endpoints: endpoint, timeoutMs: 5000 });
  const kv = client.kv.namespace('/example/errors/').as(text);

  // Known reasons, by name.
  try {
    await kv.put('a', '1', { lease: 0x1234_5678n });
  } catch (error) {
    if (!isEtcdError(error, 'LEASE_NOT_FOUND')) throw error;
    print(`${error.code} ${error.reason} ${error.outcome}`);
  }

  // A write either happened, or provably did not, or nobody knows. Only the last needs thought:
  // read what is there, or write in a way that can be repeated.
  const increment = async (): Promise<void> => {
    const before = await kv.get('counter');
    const value = String(Number(before?.value ?? 0) + 1);
    const options = { modRevision: before?.modRevision ?? 0 };
    try {
      await kv.replace('counter', value, options);
    } catch (error) {
      if (!(error instanceof EtcdClientError) || error.outcome !== 'unknown') throw error;
      // The compare makes it safe: if it was executed, this one does nothing.
      await kv.replace('counter', value, options);
    }
  };
  await kv.delete('counter');
  await increment();
  await increment();
  print(`counter ${(await kv.get('counter'))?.value}`);

  // Deadlines and signals on every call.
  try {
    await kv.get('a', { signal: AbortSignal.abort() });
  } catch (error) {
    if (isEtcdError(error, 'ABORTED')) print(`aborted, ${error.attempts} attempts`);
  }
  await using nobody = new Etcd({ endpoints: '127.0.0.1:1' });
  try {
    await nobody.connect();
  } catch (error) {
    if (isEtcdError(error, 'CONNECT_FAILED')) print(`${error.code} ${error.reason}`);
  }
};

runIfMain(import.meta.url, errorsExample);
