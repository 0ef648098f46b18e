/** What `tree`, `du`, `history` and `diff` show. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { method } from '../../src/client/raw/index.js';
import { encodeCompactionRequest } from '../../src/proto/index.js';
import { DataCommands } from '../helpers/data-commands.js';
import { useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, slow } from '../helpers/tools.js';

describeWith([targetTool], 'commands that look at data', () => {
  const server = useTarget();
  let at: DataCommands;
  beforeAll(() => {
    at = new DataCommands(server());
  });
  afterAll(() => at.close());

  describe('tree', () => {
    it('counts keys below each prefix, down to a depth', async () => {
      for (const key of ['a/b/1', 'a/b/2', 'a/c', 'd', 'e/f/g/h'])
        await at.put(`/tree/${key}`, 'x');
      const out = await at.ok(['tree', '/tree/', '--depth', '2']);
      expect(out.split('\n').slice(0, 8)).toEqual([
        '/tree/',
        '├── a/ (3)',
        '│   ├── b/ (2)',
        '│   └── c',
        '├── d',
        '└── e/ (1)',
        '    └── f/ (1)',
        '',
      ]);
      expect(out).toMatch(/\n5 keys at revision \d+\n$/);
    });

    it('has the same as one value of JSON', async () => {
      const [tree] = await at.json(['tree', '/tree/', '--depth', '1']);
      expect(tree).toEqual({
        revision: expect.any(Number),
        prefix: '/tree/',
        keys: 5,
        children: [
          { name: 'a/', keys: 3 },
          { name: 'd', isKey: true },
          { name: 'e/', keys: 1 },
        ],
      });
    });

    it('shows some names of many, and says how many it left out', async () => {
      for (let i = 0; i < 7; i += 1) await at.put(`/many/${i}`, 'x');
      const out = await at.ok(['tree', '/many/', '--limit', '5']);
      expect(out).toContain('├── 4\n└── … 2 names more\n\n7 keys at');
      expect(await at.json(['tree', '/many/', '--limit', '5'])).toMatchObject([{ left: 2 }]);
    });

    it('shows what is no text in quotes, and other separators', async () => {
      await at.txn({
        type: 'put',
        request: {
          ...{ key: '/odd/\u0000\u00ff:x', value: Buffer.from('x'), lease: 0n },
          ...{ prevKv: false, ignoreValue: false, ignoreLease: false },
        },
      });
      const out = await at.ok(['tree', '/odd/', '--separator', ':']);
      expect(out).toContain('└── "\\x00\\xff:" (1)\n    └── x\n');
    });

    it('shows an older revision', async () => {
      const before = await at.put('/old/a', 'x');
      await at.del('/old/a');
      expect(await at.json(['tree', '/old/', '--rev', String(before)])).toMatchObject([
        { keys: 1 },
      ]);
      expect(await at.json(['tree', '/old/'])).toMatchObject([{ keys: 0 }]);
    });
  });

  describe('du', () => {
    it('adds up bytes, keys and revisions', async () => {
      await at.put('/du/a/1', '12345');
      await at.put('/du/a/1', '1234567890');
      await at.put('/du/a/2', '');
      await at.put('/du/b/1', 'x'.repeat(100));
      expect(await at.json(['du', '/du/'])).toEqual([
        {
          ...{ revision: expect.any(Number), prefix: '/du/' },
          ...{ bytes: 7 * 3 + 110, keys: 3, revisions: 4 },
          prefixes: [
            { prefix: '/du/b/', bytes: 107, keys: 1, revisions: 1 },
            { prefix: '/du/a/', bytes: 24, keys: 2, revisions: 3 },
          ],
        },
      ]);
      expect(await at.ok(['du', '/du/', '--sort', 'keys'])).toBe(
        [
          'BYTES  KEYS  REVISIONS  PREFIX',
          '   24     2          3  /du/a/',
          '  107     1          1  /du/b/',
          '  131     3          4  /du/',
          '',
        ].join('\n'),
      );
    });

    it('refuses orders that it does not have', async () => {
      expect(await at.run(['du', '--sort', 'size'])).toMatchObject({ code: 1, out: '' });
    });
  });

  describe('history', () => {
    it('shows all revisions, with deletions and leases', async () => {
      const lease = await at.grant(600);
      const revisions = [await at.put('/h', 'one'), await at.put('/h', 'two'), await at.del('/h')];
      revisions.push(await at.put('/h', 'three', lease));
      const entries = await at.json(['history', '/h']);
      expect(entries).toMatchObject([
        { key: '/h', change: 'created', version: 1, value: 'one' },
        { key: '/h', change: 'changed', version: 2, value: 'two' },
        { key: '/h', change: 'deleted' },
        { change: 'created', version: 1, value: 'three', lease: lease.toString(16) },
      ]);
      expect(entries.map((one) => (one as { revision: number }).revision)).toEqual(revisions);
      const out = await at.ok(['history', '/h', '--limit', '2']);
      expect(out.split('\n')).toHaveLength(3);
      expect(out).toContain('deleted');
    });

    it('ends for a key that is not there any more', async () => {
      await at.put('/gone', 'x');
      await at.del('/gone');
      expect(await at.json(['history', '/gone'])).toHaveLength(2);
    });

    it('ends for a key that never was there', async () => {
      const { code, out, err } = await at.run(['history', '/never']);
      expect({ code, out }).toEqual({ code: 0, out: '' });
      expect(err).toBe('/never: nothing can be read of it\n');
    });

    it('has the state at the compaction, and what came after it', async () => {
      await at.put('/c', 'lost');
      const kept = await at.put('/c', 'kept');
      const compacted = await at.put('/other', 'x');
      const last = await at.put('/c', 'last');
      const request = encodeCompactionRequest({ revision: compacted, physical: true });
      await at.client.call(method.compact, 'write', request);
      expect(await at.json(['history', '/c'])).toMatchObject([
        { change: 'kept', revision: kept, value: 'kept', version: 2 },
        { change: 'changed', revision: last, value: 'last', version: 3 },
      ]);
      const refused = await at.run(['diff', '--from-rev', String(kept), '/c']);
      expect(refused.code).toBe(1);
      expect(refused.err).toContain(`revision ${kept} can't be read: the store was compacted`);
    });

    it('has more than fits into one message', { timeout: 200_000 }, async () => {
      const count = slow ? 40 : 12;
      for (let i = 0; i < count; i += 1) await at.put('/large', `${i}:${'x'.repeat(500_000)}`);
      const entries = await at.json(['history', '/large']);
      expect(entries.map((one) => (one as { value: string }).value.split(':')[0])).toEqual(
        Array.from({ length: count }, (_, i) => String(i)),
      );
    });
  });

  describe('diff', () => {
    it('shows what was added, removed and changed, JSON by its fields', async () => {
      await at.put('/d/gone', 'x');
      await at.put('/d/json', '{"a":{"b":[1,2]},"c":"same"}');
      await at.put('/d/same', 'x');
      const from = await at.put('/d/text', 'old');
      await at.put('/d/added', 'new\n');
      await at.del('/d/gone');
      await at.put('/d/json', '{"a":{"b":[1,3]},"c":"same","d":null}');
      await at.put('/d/same', 'x');
      const to = await at.put('/d/text', 'new');
      await at.put('/d/later', 'x');
      const revisions = ['--from-rev', String(from), '--to-rev', String(to)];
      const { code, out, err } = await at.run(['diff', ...revisions, '/d/']);
      expect({ code, out, err }).toEqual({
        code: 0,
        out: [
          '+ /d/added = "new\\n"',
          '- /d/gone = x',
          '~ /d/json',
          '    - a.b[1]: 2',
          '    + a.b[1]: 3',
          '    + d: null',
          '~ /d/text',
          '    - old',
          '    + new',
          '',
        ].join('\n'),
        err: `1 added, 1 removed, 2 changed from revision ${from} to ${to}\n`,
      });
      expect(await at.json(['diff', ...revisions, '/d/j'])).toMatchObject([
        {
          ...{ key: '/d/json', change: 'changed', before: { value: expect.any(String) } },
          fields: [
            { path: 'a.b[1]', before: 2, after: 3 },
            { path: 'd', after: null },
          ],
        },
      ]);
      expect((await at.run(['diff', ...revisions, '/d/', '--exit-code'])).code).toBe(1);
      expect((await at.run(['diff', ...revisions, '/d/same', '--exit-code'])).code).toBe(0);
    });

    it('needs a revision to start from, which must be there', async () => {
      expect((await at.run(['diff', '/d/'])).err).toContain('diff needs --from-rev');
      const { code, err } = await at.run(['diff', '/d/', '--from-rev', '999999999']);
      expect(code).toBe(1);
      expect(err).toContain('revision 999999999 is not there yet');
    });
  });

  it('know two formats', async () => {
    for (const name of ['tree', 'du', 'export']) {
      expect(await at.run([name, '-w', 'table'])).toMatchObject({ code: 4, out: '' });
    }
  });
});
