/**
 * The table of what each rpc requires is what the matrix shows. That it has every rpc, and that
 * what it has not is for nobody, is held by test/server/auth-guards.test.ts.
 */

import { describe, expect, it } from 'vitest';
import { requirementOf } from '../../src/server/access/index.js';
import { outcomesOf, readPage } from './matrix/page.js';
import { callers } from './matrix/world.js';

const denied = 'PERMISSION_DENIED etcdserver: permission denied';

/** Per rpc, the cells of all of its rows by caller, from docs/auth-matrix.md. */
function cellsByRpc(): Map<string, Map<string, string[]>> {
  const found = new Map<string, Map<string, string[]>>();
  for (const [name, outcomes] of outcomesOf(readPage())) {
    const rpc = `/${name.split(':')[0]}`;
    const cells = found.get(rpc) ?? new Map<string, string[]>();
    found.set(rpc, cells);
    for (const caller of callers) {
      cells.set(caller, [...(cells.get(caller) ?? []), outcomes[caller]]);
    }
  }
  return found;
}

/** Open at the door: what they do in their caller's name is looked at call by call. */
const isRecipe = /^\/v3(lock|election)pb\./;

describe('what an rpc requires', () => {
  it('is what the matrix shows', () => {
    for (const [rpc, cells] of cellsByRpc()) {
      const requirement = requirementOf(rpc);
      const of = (caller: string): readonly string[] => cells.get(caller) ?? [];
      if (requirement === 'root') {
        for (const caller of ['no role', 'part', 'reads', 'writes', 'full', 'certificate']) {
          expect(new Set(of(caller)), `${rpc} by ${caller}`).toEqual(new Set([denied]));
        }
      } else if (requirement !== 'open' || isRecipe.test(rpc)) {
        expect(
          of('no token').filter((cell) => cell === 'ok'),
          rpc,
        ).toEqual([]);
      } else expect(of('no token'), rpc).toContain('ok');
    }
  });
});
