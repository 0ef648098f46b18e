/** Put, get, ranges, compare-and-set, namespaces and codecs. */

import { Etcd, json, text } from '../../src/client/index.js';
import { type Example, runIfMain } from './run.js';

interface Node {
  readonly addr: string;
  readonly weight: number;
}

export const kvExample: Example = async (endpoint, print) => {
  await using client = new Etcd(endpoint);
  const config = client.kv.namespace('/example/config/').as(text);
  await config.deleteRange({ all: true });

  // A key, its value, its history.
  const { revision } = await config.put('log-level', 'info');
  await config.put('log-level', 'debug');
  print(`now ${(await config.get('log-level'))?.value}`);
  print(`before ${(await config.get('log-level', { revision }))?.value}`);

  // Compare-and-set: only if nobody else was faster.
  const entry = await config.get('log-level');
  if (entry !== undefined) {
    const { modRevision } = entry;
    const first = await config.replace('log-level', 'warn', { modRevision });
    const second = await config.replace('log-level', 'error', { modRevision });
    print(`replaced: ${first.ok}, then ${second.ok}`);
    if (!second.ok) print(`because it is ${second.current?.value}`);
  }

  // Values of a type of their own, changed in place.
  const nodes = client.kv.namespace('/example/nodes/').as(json<Node>());
  await nodes.deleteRange({ all: true });
  for (let i = 1; i <= 5; i += 1) await nodes.put(`n${i}`, { addr: `10.0.0.${i}`, weight: 1 });
  await nodes.modify('n3', (node) => (node === undefined ? undefined : { ...node, weight: 9 }));

  // Ranges of any size, in pages of one revision.
  for await (const { key, value } of nodes.scan({ from: 'n2', to: 'n4' }, { pageSize: 1 })) {
    print(`${key} ${value.addr} ${value.weight}`);
  }
  print(`${await nodes.count({ all: true })} nodes`);
};

runIfMain(import.meta.url, kvExample);
