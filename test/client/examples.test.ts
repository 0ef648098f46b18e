/** Runs every example of the client, and holds the pages in docs/client to them. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { authExample } from '../../examples/client/auth.js';
import { configExample } from '../../examples/client/config.js';
import { coordinationExample } from '../../examples/client/coordination.js';
import { discoveryExample } from '../../examples/client/discovery.js';
import { errorsExample } from '../../examples/client/errors.js';
import { kvExample } from '../../examples/client/kv.js';
import { leaseExample } from '../../examples/client/lease.js';
import { maintenanceExample } from '../../examples/client/maintenance.js';
import type { Example } from '../../examples/client/run.js';
import { transactionsExample } from '../../examples/client/transactions.js';
import { watchExample } from '../../examples/client/watch.js';
import { repoRoot } from '../helpers/tools.js';
import { describeTargets } from './target.js';

const examples: ReadonlyArray<readonly [string, Example, readonly string[]]> = [
  [
    'kv',
    kvExample,
    [
      'now debug',
      'before info',
      'replaced: true, then false',
      'because it is warn',
      'n2 10.0.0.2 1',
      'n3 10.0.0.3 9',
      '5 nodes',
    ],
  ],
  ['transactions', transactionsExample, ['ada: true', 'taken by u1', 'a has 4, b has 6']],
  [
    'watch',
    watchExample,
    [
      'jobs/1: new -> queued',
      'jobs/1: queued -> done',
      'jobs/1: gone, was done',
      'snapshot of 1',
      'members/a=10.0.0.1 members/b=10.0.0.2',
    ],
  ],
  ['lease', leaseExample, ['granted 10 s, alive', 'worker is alive', 'worker is gone']],
  [
    'errors',
    errorsExample,
    [
      'NOT_FOUND LEASE_NOT_FOUND failed',
      'counter 2',
      'aborted, 0 attempts',
      'UNAVAILABLE CONNECT_FAILED',
    ],
  ],
  [
    'maintenance',
    maintenanceExample,
    ['default is leader', 'snapshot 100 %, written', 'mirrored a=1 b=2'],
  ],
  [
    'auth',
    authExample,
    [
      'read {"prefix":"reports/"}',
      'readwrite {"key":"reports/new"}',
      'ann reads rain',
      'old: PERMISSION_DENIED',
      'ann reads rain',
      'users left: 0',
    ],
  ],
  [
    'coordination',
    coordinationExample,
    [
      'session alive',
      'second try: undefined',
      'under the lock: true',
      'holder: undefined',
      'too late: false, report written',
      'leader 10.0.0.1:8080, fence true',
      'first',
      'second',
    ],
  ],
  [
    'discovery',
    discoveryExample,
    ['a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.1.1:80', 'calls go to a and b', 'left: b c', 'then to c'],
  ],
  [
    'config',
    configExample,
    [
      '{"logLevel":"info","connectionsMax":100}',
      '{"logLevel":"debug","connectionsMax":101} from group and node',
      'kept: connectionsMax: must be above 0',
      'refused: logLevel: must be info or debug',
      'still debug',
      'ann: look into it, 2 properties',
      'back to {"logLevel":"debug","connectionsMax":200}',
    ],
  ],
];

describeTargets('examples', {}, (target) => {
  it.each(examples)('%s', async (name, example, expected) => {
    const lines: string[] = [];
    await example(target.server().endpoints[0] ?? '', (line) => lines.push(line));
    // In this process the only member has another name.
    const seen = lines.map((line) => line.replace(/^m1 is/, 'default is'));
    expect(seen, name).toEqual(expected);
  });
});

it('the pages name only examples that are there', () => {
  const docs = join(repoRoot, 'docs/client');
  const there = readdirSync(join(repoRoot, 'examples/client'));
  for (const page of readdirSync(docs)) {
    const body = readFileSync(join(docs, page), 'utf8');
    for (const [, file = ''] of body.matchAll(/examples\/client\/([a-z-]+\.ts)/g)) {
      expect(there, page).toContain(file);
    }
  }
});
