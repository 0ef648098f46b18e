/** Watching changes, and keeping a copy of a state that is always exact. */

import { Etcd, text } from '../../src/client/index.js';
import { type Example, runIfMain } from './run.js';

export const watchExample: Example = async (endpoint, print) => {
  await using client = new Etcd(endpoint);
  const kv = client.kv.namespace('/example/watch/').as(text);
  await kv.deleteRange({ all: true });

  // Changes from now on. It survives disconnections; `ready` is when it is in place.
  const watcher = kv.watch({ prefix: 'jobs/' }, { prev: true });
  await watcher.ready;
  await kv.put('jobs/1', 'queued');
  await kv.put('jobs/1', 'done');
  await kv.delete('jobs/1');
  for await (const event of watcher) {
    if (event.type === 'put')
      print(`${event.key}: ${event.prev?.value ?? 'new'} -> ${event.value}`);
    else print(`${event.key}: gone, was ${event.prev?.value}`);
    if (event.type === 'delete') break; // ends the watch, at the server too
  }

  // The state, then every change after exactly that state.
  await kv.put('members/a', '10.0.0.1');
  const model = new Map<string, string>();
  await using state = kv.watchFrom({ prefix: 'members/' });
  for await (const event of state) {
    switch (event.type) {
      case 'snapshot':
        // The first event, and again if so much was missed that history is gone.
        model.clear();
        for (const { key, value } of event.entries) model.set(key, value);
        print(`snapshot of ${event.entries.length}`);
        await kv.put('members/b', '10.0.0.2');
        continue;
      case 'put':
        model.set(event.key, event.value);
        break;
      case 'delete':
        model.delete(event.key);
        break;
    }
    print([...model].map(([key, value]) => `${key}=${value}`).join(' '));
    break;
  }
};

runIfMain(import.meta.url, watchExample);
