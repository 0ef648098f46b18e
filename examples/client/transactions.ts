/** Transactions with typed results, and transaction functions. */

import { Etcd, json, text } from '../../src/client/index.js';
import { type Example, runIfMain } from './run.js';

export const transactionsExample: Example = async (endpoint, print) => {
  await using client = new Etcd(endpoint);
  const root = client.kv.namespace('/example/txn/');
  await root.deleteRange({ all: true });
  const users = root.namespace('users/').as(json<{ readonly name: string }>());
  const names = root.namespace('by-name/').as(text);

  // A user and its index entry come into being together, or not at all.
  const register = (id: string, name: string) =>
    root
      .txn()
      .if(users.when(id).missing(), names.when(name).missing())
      .then(users.ops.put(id, { name }), names.ops.put(name, id))
      .else(names.ops.get(name), users.ops.get(id))
      .commit();
  const first = await register('u1', 'ada');
  print(`ada: ${first.ok}`);
  const second = await register('u2', 'ada');
  // The compiler knows which results belong to which branch.
  if (!second.ok) print(`taken by ${second.results[0]?.value}`);

  // A function of reads and writes, run again if others interfere.
  const accounts = root.namespace('accounts/').as(json<number>());
  await accounts.put('a', 10);
  await accounts.put('b', 0);
  const transfer = (amount: number) =>
    accounts.stm(async (tx) => {
      const [a, b] = [(await tx.get('a')) ?? 0, (await tx.get('b')) ?? 0];
      tx.put('a', a - amount);
      tx.put('b', b + amount);
    });
  await Promise.all([transfer(1), transfer(2), transfer(3)]);
  const balances = await accounts.range({ all: true });
  print(balances.kvs.map(({ key, value }) => `${key} has ${value}`).join(', '));
};

runIfMain(import.meta.url, transactionsExample);
