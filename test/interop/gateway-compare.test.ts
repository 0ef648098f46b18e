/**
 * The JSON gateway of kvorum and that of etcd 3.7.3 get the same requests, in the same order, and
 * must answer the same: status, headers, body. With KVORUM_TEST_TARGET=etcd two etcds are compared:
 * that shows that the masks hide enough.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { useServer, useTarget } from '../helpers/server.js';
import { targetKind, targetTool } from '../helpers/target.js';
import { describeWith, toolPath } from '../helpers/tools.js';
import {
  clusterRequests,
  kvRequests,
  leaseRequests,
  watchRequests,
} from './gateway/call-requests.js';
import { differences } from './gateway/differences.js';
import { GatewaySession, type GatewayStep } from './gateway/exchange.js';
import { bodyRequests, headerRequests, pathRequests } from './gateway/form-requests.js';
import { comparable, withoutExtras } from './gateway/masks.js';
import { authRequests, electionRequests, lockRequests } from './gateway/service-requests.js';

/** Scenes, each with the service that it needs. */
const scenes: ReadonlyArray<readonly [name: string, steps: readonly GatewayStep[]]> = [
  ['paths and methods', pathRequests],
  ['headers', headerRequests],
  ['bodies', bodyRequests],
  ['keys', kvRequests],
  ['leases', leaseRequests],
  ['watches', watchRequests],
  ['members and maintenance', clusterRequests],
  ['users and roles', authRequests],
  ['locks', lockRequests],
  ['elections', electionRequests],
];

it('has at least 150 requests', () => {
  expect(scenes.flatMap(([, steps]) => steps).length).toBeGreaterThanOrEqual(150);
});

it('has no known difference without a request', () => {
  const steps = scenes.flatMap(([, all]) => all);
  for (const row of differences) expect(steps.filter((step) => isOf(row, step))).not.toEqual([]);
});

describeWith(['etcd37', targetTool], 'the JSON gateway answers as that of etcd 3.7', () => {
  const reference = useServer('etcd', () => ({ program: toolPath('etcd37') }));
  const target = useTarget();
  let sessions: readonly [GatewaySession, GatewaySession];

  beforeAll(() => {
    sessions = [new GatewaySession(reference().endpoint), new GatewaySession(target().endpoint)];
  });

  for (const [name, steps] of scenes) {
    describe(name, () => {
      for (const [at, step] of steps.entries()) {
        it(`${at}: ${nameOf(step)}`, async () => {
          const [etcd, own] = await Promise.all(sessions.map((session) => session.run(step)));
          if (etcd === undefined || own === undefined) throw new Error('two answers');
          const row = differences.find((known) => isOf(known, step));
          const expected = targetKind === 'etcd' ? etcd : (row?.expected(etcd) ?? etcd);
          expect(comparable(targetKind === 'etcd' ? own : withoutExtras(own))).toEqual(
            comparable(expected),
          );
        });
      }
    });
  }
});

function isOf(row: { readonly path: string; readonly note: string }, step: GatewayStep): boolean {
  return row.path === step.path && row.note === (step.note ?? '');
}

function nameOf({
  method = 'POST',
  path,
  note = '',
  body = '',
  headers = {},
}: GatewayStep): string {
  const text = typeof body === 'string' ? body : body.toString('latin1');
  const shown = text.length > 100 ? `${text.slice(0, 100)}...` : text;
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [method, path, note, JSON.stringify(shown), ...more]
    .filter((part) => part !== '')
    .join(' ');
}
