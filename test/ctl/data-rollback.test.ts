/** `rollback`: back to a revision, also when it was interrupted, also when others write. */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataCommands, type Failure } from '../helpers/data-commands.js';
import { useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, slow } from '../helpers/tools.js';

describeWith([targetTool], 'rollback', () => {
  const server = useTarget();
  let at: DataCommands;
  beforeAll(() => {
    at = new DataCommands(server());
  });
  afterAll(() => at.close());

  it('says what it will do, and does nothing without --yes', async () => {
    await at.put('/say/changed', 'old');
    const rev = await at.put('/say/deleted', 'x');
    await at.put('/say/changed', 'new');
    await at.del('/say/deleted');
    const now = await at.put('/say/added', 'x');
    const before = await at.state('/say/');
    const words = ['rollback', '/say/', '--to-rev', String(rev)];
    const refused = await at.run(words);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain(
      [
        `/say/ from revision ${now} to ${rev}:`,
        '  deleted  /say/added',
        '  put as it was  /say/changed',
        '  put again  /say/deleted',
        '  in all: 1 put as they were, 1 put again, 1 deleted',
        'Error: This changes 3 keys below /say/. Nothing was done: give --yes',
      ].join('\n'),
    );
    expect((await at.run([...words, '--dry-run'])).code).toBe(0);
    expect((await at.run(words, { onTerminal: true, stdin: 'n\n' })).code).toBe(1);
    expect(await at.state('/say/')).toEqual(before);
    expect((await at.run(words, { onTerminal: true, stdin: 'y\n' })).code).toBe(0);
    expect(await at.state('/say/')).toEqual({ changed: 'old 0', deleted: 'x 0' });
    expect(await at.ok([...words, '--yes'])).toBe('');
  });

  it('leaves what was put again as it had been, and everything beside the prefix', async () => {
    await at.put('/beside/b', 'x');
    const rev = await at.put('/beside/a', 'x');
    await at.put('/beside/a', 'x');
    const [beside] = [await at.put('/beside.', 'x'), await at.put('/beside0', 'y')];
    expect(await at.json(['rollback', '/beside/', '--to-rev', String(rev), '--yes'])).toEqual([
      {
        ...{ prefix: '/beside/', toRevision: rev, atRevision: beside + 1, dryRun: false },
        ...{ changed: 0, restored: 0, deleted: 0, leaseEnded: 0, conflicts: 0 },
      },
    ]);
    expect(await at.json(['history', '/beside.'])).toHaveLength(1);
  });

  it('gives leases back that live, and tells of those that have ended', async () => {
    const [lives, ended] = [await at.grant(600), await at.grant(600)];
    await at.put('/leased/ended', 'x', ended);
    const rev = await at.put('/leased/lives', 'x', lives);
    await at.put('/leased/lives', 'x');
    await at.revoke(ended);
    const words = ['rollback', '/leased/', '--to-rev', String(rev), '--yes'];
    const { code, err } = await at.run(words);
    expect(code).toBe(0);
    expect(err).toContain('1 key of leases that have ended: they stay as they are');
    expect(await at.state('/leased/')).toEqual({ lives: `x ${lives}` });
    await at.ok([...words, '--without-leases']);
    expect(await at.state('/leased/')).toEqual({ ended: 'x 0', lives: `x ${lives}` });
    expect(await at.json([...words, '--without-leases'])).toMatchObject([{ restored: 0 }]);
  });

  it('leaves what others change meanwhile, and says so', async () => {
    for (let i = 0; i < 5; i += 1) await at.put(`/race/${i}`, 'old');
    const rev = await at.put('/race/last', 'old');
    for (let i = 0; i < 5; i += 1) await at.put(`/race/${i}`, 'new');
    // Between the plan and the first transaction: it comes while somebody thinks of the answer.
    const stdin = (async function* () {
      await at.put('/race/2', 'theirs');
      yield Buffer.from('y\n');
    })();
    const words = ['rollback', '/race/', '--to-rev', String(rev)];
    const { code, out, err } = await at.run(words, { onTerminal: true, io: { stdin } });
    expect({ code, out }).toEqual({ code: 1, out: '4 keys of /race/ taken back\n' });
    expect(err).toContain('1 key changed by others meanwhile, and left as they are');
    const old = 'old 0';
    const state = { 0: old, 1: old, 2: 'theirs 0', 3: old, 4: old, last: old };
    expect(await at.state('/race/')).toEqual(state);
    expect((await at.run([...words, '--yes'])).code).toBe(0);
    expect(await at.state('/race/')).toEqual({ ...state, 2: old });
  });

  it('takes back more than fits into a transaction', { timeout: 200_000 }, async () => {
    for (let i = 0; i < 250; i += 1) await at.put(`/long/${i}`, 'old');
    const rev = await at.put('/long/large', 'x'.repeat(1_000_000));
    for (let i = 0; i < 250; i += 1) await at.del(`/long/${i}`);
    await at.put('/long/large', 'y'.repeat(1_000_000));
    const before = await at.state('/long/', rev);
    expect(await at.json(['rollback', '/long/', '--to-rev', String(rev), '--yes'])).toMatchObject([
      { restored: 250, changed: 1 },
    ]);
    expect(await at.state('/long/')).toEqual(before);
  });

  /** What writers do, on few keys so that they meet. */
  const change = fc.record({
    key: fc.constantFrom('a', 'a/b', 'a/c', 'b', 'ÿ', 'z/z/z'),
    value: fc.option(fc.constantFrom('', 'x', 'y', '{"a":1}')),
  });
  let runs = 0;

  async function apply(
    prefix: string,
    changes: ReadonlyArray<{ readonly key: string; readonly value: string | null }>,
  ): Promise<number> {
    let revision = await at.put(`${prefix}begin`, 'x');
    for (const { key, value } of changes) {
      const name = `${prefix}${key}`;
      revision = value === null ? await at.del(name) : await at.put(name, value);
    }
    return revision;
  }

  it('gives the state of that revision, whatever was done', { timeout: 300_000 }, async () => {
    const changes = fc.array(change, { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(changes, changes, async (before, since) => {
        runs += 1;
        const prefix = `/any/${runs}/`;
        const rev = await apply(prefix, before);
        const state = await at.state(prefix);
        await apply(prefix, since);
        await at.ok(['rollback', prefix, '--to-rev', String(rev), '--yes']);
        expect(await at.state(prefix)).toEqual(state);
      }),
      { numRuns: slow ? 200 : 25 },
    );
  });

  describe.each<Failure>(['lost', 'unanswered'])('a call that is %s', (how) => {
    it('at any step is made up for by doing it again', { timeout: 300_000 }, async () => {
      // Two transactions: two values of a third of what one may have.
      const large = 'l'.repeat(300_000);
      for (let n = 1; ; n += 1) {
        const prefix = `/step/${how}/${n}/`;
        const rev = await apply(prefix, [
          { key: 'large/1', value: large },
          { key: 'large/2', value: large },
          { key: 'kept', value: 'x' },
          { key: 'gone', value: 'x' },
        ]);
        const state = await at.state(prefix);
        await apply(prefix, [
          { key: 'large/1', value: 'small' },
          { key: 'large/2', value: 'small' },
          { key: 'gone', value: null },
          { key: 'new', value: 'x' },
        ]);
        const words = ['rollback', prefix, '--to-rev', String(rev), '--yes'];
        const said = await at.runFailing(words, n, how);
        expect((await at.run(words)).code).toBe(0);
        expect(await at.state(prefix)).toEqual(state);
        if (said === 'failed') continue;
        // All calls went well: there are no more steps to fail at.
        expect(said.code).toBe(0);
        expect(n).toBeGreaterThan(6);
        return;
      }
    });
  });
});
