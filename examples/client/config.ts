/** The configuration of a node: layers, validation, changes as they happen, and the way back. */

import { config, Etcd, type StandardSchema } from '../../src/client/index.js';
import { type Example, runIfMain } from './run.js';

interface Settings {
  readonly logLevel: 'info' | 'debug';
  readonly connectionsMax: number;
}

/** Any Standard Schema will do (zod, valibot, arktype); this is what they are underneath. */
const schema: StandardSchema<Settings> = {
  '~standard': {
    version: 1,
    vendor: 'example',
    validate: (given) => {
      const value = given as Settings;
      if (!['info', 'debug'].includes(value.logLevel)) {
        return { issues: [{ message: 'must be info or debug', path: ['logLevel'] }] };
      }
      if (!(value.connectionsMax > 0)) {
        return { issues: [{ message: 'must be above 0', path: ['connectionsMax'] }] };
      }
      return { value };
    },
  },
};

export const configExample: Example = async (endpoint, print) => {
  await using client = new Etcd(endpoint);
  await client.kv.deleteRange({ prefix: '/example/config/' });
  await using settings = await config(client, {
    prefix: '/example/config',
    schema,
    defaults: { logLevel: 'info', connectionsMax: 100 },
    group: 'eu',
    node: 'n1',
    onProblem: ({ error }) => print(error.message.replace(/^.* is invalid: /, 'refused: ')),
  });
  print(JSON.stringify(settings.current));

  // Several properties of a layer together; whoever follows sees both or none.
  const first = await settings.update(
    { logLevel: 'debug', connectionsMax: 200 },
    { layer: 'group', author: 'ann', comment: 'look into it' },
  );
  await settings.update(({ connectionsMax = 100 }) => ({ connectionsMax: connectionsMax + 1 }), {
    layer: 'node',
  });
  for await (const { value, sources } of settings) {
    if (value.connectionsMax !== 101) continue;
    print(`${JSON.stringify(value)} from ${sources.logLevel} and ${sources.connectionsMax}`);
    break;
  }

  // What is wrong is not written; what somebody else wrote wrong is not used.
  const wrong = settings.update({ connectionsMax: -1 }, { layer: 'node' });
  await wrong.catch((error: Error) => print(error.message.replace(/^.* is invalid: /, 'kept: ')));
  await client.kv.put('/example/config/node/n1/logLevel', '"loud"');
  for await (const problem of settings.problems()) if (problem !== undefined) break;
  print(`still ${settings.current.logLevel}`);

  const [version] = await settings.history();
  print(`${version?.author}: ${version?.comment}, ${version?.edits.length} properties`);
  await settings.rollback(first.revision);
  for await (const { value } of settings) {
    if (value.connectionsMax !== 200) continue;
    print(`back to ${JSON.stringify(value)}`);
    break;
  }
};

runIfMain(import.meta.url, configExample);
