/** Users, roles and permissions: made, used and taken away again, at a server with auth off. */

import { Etcd, isEtcdError, text } from '../../src/client/index.js';
import { type Example, runIfMain } from './run.js';

export const authExample: Example = async (endpoint, print) => {
  await using first = new Etcd(endpoint);
  // Auth can only be switched on when there is a root that may do everything.
  await first.auth.addUser('root', 'of all evil');
  await first.auth.grantRole('root', 'root');
  await first.auth.enable();

  await using admin = new Etcd({
    endpoints: endpoint,
    credentials: { user: 'root', password: 'of all evil' },
  });
  await admin.auth.addRole('reports');
  await admin.auth.grantPermission('reports', { kind: 'read', range: { prefix: 'reports/' } });
  await admin.auth.grantPermission('reports', { kind: 'readwrite', range: { key: 'reports/new' } });
  for (const { kind, range } of await admin.auth.role('reports')) {
    print(`${kind} ${JSON.stringify(range)}`);
  }
  await admin.auth.addUser('ann', 'first');
  await admin.auth.grantRole('ann', 'reports');

  // Asked for the password each time a token is needed: here from a variable, else from a vault.
  let password = 'first';
  await using ann = new Etcd({
    endpoints: endpoint,
    credentials: { user: 'ann', password: () => password },
  });
  const kv = ann.kv.namespace('reports/').as(text);
  await kv.put('new', 'rain');
  print(`ann reads ${(await kv.get('new'))?.value}`);
  try {
    await kv.put('old', 'sun');
  } catch (error) {
    if (isEtcdError(error, 'PERMISSION_DENIED')) print(`old: ${error.code}`);
  }

  // Her token ends with the change; the next call gets another.
  password = 'second';
  await admin.auth.changePassword('ann', password);
  print(`ann reads ${(await kv.get('new'))?.value}`);

  await admin.auth.deleteUser('ann');
  await admin.auth.deleteRole('reports');
  await admin.auth.disable();
  await first.auth.deleteUser('root');
  print(`users left: ${(await first.auth.users()).length}`);
};

runIfMain(import.meta.url, authExample);
