/**
 * The auth matrix: each form of each rpc by everybody who may ask (see docs/auth-matrix.md), made
 * of kvorum and of the newest etcd that is here. Both must come to what the page says.
 */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { allMethods } from '../../src/server/member.js';
import { SimMachine } from '../crash/sim-node.js';
import { SimClient } from '../faults/sim.js';
import type { ServerKind } from '../helpers/server.js';
import { describeWith, have, slow, type Tool, toolPath } from '../helpers/tools.js';
import { differsIn34 } from './matrix/differs-in-34.js';
import { outcomeOf } from './matrix/outcome.js';
import {
  etcdOutcomes,
  kvorumOutcomes,
  nameOf,
  type Outcomes,
  outcomesOf,
  readPage,
  renderPage,
  writePage,
} from './matrix/page.js';
import type { Row } from './matrix/row.js';
import { rows } from './matrix/rows/index.js';
import { callers, World } from './matrix/world.js';

const version = 'etcd 3.7.3';
const updates = process.env.UPDATE_DOCS === '1';
const documented = outcomesOf(readPage());

it('has a row for every rpc of a member', async () => {
  const { node } = await SimClient.start(new SimMachine(4));
  const asked = new Set(rows.map(({ rpc }) => `/${rpc}`));
  const missing = [...allMethods(node.node).keys()].filter((method) => !asked.has(method));
  expect(missing).toEqual([]);
});

it('has each row once, on the page, too', () => {
  const names = rows.map(nameOf);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  if (updates) return;
  const hint = 'run: UPDATE_DOCS=1 npx vitest run test/auth/matrix.test.ts';
  expect([...documented.keys()], hint).toEqual(names);
  expect(readPage(), hint).toBe(renderPage(rows, documented, version));
});

/** One cell after the other: each begins where the one before left the store. */
async function cellsOf(row: Row, world: World): Promise<Outcomes> {
  const cells: [string, string][] = [];
  for (const name of callers) {
    const before = await outcomeOf(row.before?.(world) ?? Promise.resolve());
    const outcome = before === 'ok' ? await row.call(world.caller(name), world) : before;
    if (outcome.startsWith('ok')) await row.after?.(world);
    cells.push([name, outcome]);
  }
  return Object.fromEntries(cells) as Outcomes;
}

interface Told {
  readonly kind: ServerKind;
  readonly tool: Tool;
  /** Why the program is not asked this. */
  readonly leftOut?: (row: Row) => string | undefined;
}

function describeMatrix(title: string, { kind, tool, leftOut }: Told): void {
  const isReference = kind === 'etcd';
  describeWith([tool, 'openssl'], title, () => {
    let world: World;
    const found = new Map<string, Outcomes>();
    beforeAll(async () => {
      world = await World.start(kind, toolPath(tool));
    });
    afterAll(async () => {
      await world.dispose();
      if (tool === 'etcd37' && updates) writePage(renderPage(rows, found, version));
    });

    for (const row of rows) {
      const why = leftOut?.(row);
      const name = why === undefined ? nameOf(row) : `${nameOf(row)} (skipped: ${why})`;
      it.skipIf(why !== undefined)(name, async () => {
        const cells = await cellsOf(row, world);
        found.set(nameOf(row), isReference ? kvorumOutcomes(row, cells) : cells);
        if (updates) return;
        const expected = documented.get(nameOf(row));
        if (expected === undefined) throw new Error('this row is not on docs/auth-matrix.md');
        expect(cells).toEqual(isReference ? etcdOutcomes(row, expected) : expected);
      });
    }
  });
}

describeMatrix(`the auth matrix of ${version}`, { kind: 'etcd', tool: 'etcd37' });
describeMatrix('the auth matrix of kvorum', { kind: 'kvorum', tool: 'kvorum' });
if (!have('etcd37') || slow) {
  const told = { kind: 'etcd', tool: 'etcd34', leftOut: differsIn34 } as const;
  describeMatrix('the auth matrix of etcd 3.4', told);
}
