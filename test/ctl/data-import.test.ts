/** `export` and `import`: what leaves a store comes back into another, whatever happens between. */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { method } from '../../src/client/raw/index.js';
import { encodeCompactionRequest } from '../../src/proto/index.js';
import { DataCommands, type Failure } from '../helpers/data-commands.js';
import { useServer, useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, slow } from '../helpers/tools.js';

const line = (key: string, value: string, more: object = {}) =>
  `${JSON.stringify({ key, value, ...more })}\n`;

describeWith([targetTool], 'import', () => {
  const server = useTarget();
  let at: DataCommands;
  beforeAll(() => {
    at = new DataCommands(server());
  });
  afterAll(() => at.close());

  it('puts what is not there, and is done when it is done again', async () => {
    const stdin = `${line('/i/a', '1')}\n${line('/i/b', '2').trimEnd()}`;
    expect(await at.ok(['import'], { stdin })).toBe(
      '2 keys put, 0 were there already, 0 left as they are (3 lines)\n',
    );
    expect(await at.json(['import'], { stdin })).toEqual([
      { dryRun: false, put: 0, same: 2, other: 0, ended: 0, lines: 3 },
    ]);
    expect(await at.json(['history', '/i/a'])).toHaveLength(1);
  });

  it('ends at a key with another value, unless it is told what to do with it', async () => {
    await at.put('/mode/b', 'other');
    const stdin = line('/mode/a', '1') + line('/mode/b', '2');
    const refused = await at.run(['import'], { stdin });
    expect(refused.code).toBe(1);
    expect(refused.err).toContain(
      'Error: /mode/b is there with another value; --overwrite puts it',
    );
    const counts = async (...flags: string[]) =>
      (await at.json(['import', ...flags], { stdin }))[0];
    expect(await counts('--dry-run')).toMatchObject({ dryRun: true, same: 1, other: 1 });
    expect(await counts('--if-absent')).toMatchObject({ put: 0, same: 1, other: 1 });
    expect(await at.state('/mode/')).toEqual({ a: '1 0', b: 'other 0' });
    expect(await counts('--overwrite', '--dry-run')).toMatchObject({ put: 1, same: 1, other: 0 });
    expect(await at.state('/mode/')).toEqual({ a: '1 0', b: 'other 0' });
    expect(await counts('--overwrite')).toMatchObject({ put: 1, same: 1, other: 0 });
    expect(await at.state('/mode/')).toEqual({ a: '1 0', b: '2 0' });
    expect((await at.run(['import', '--if-absent', '--overwrite'], { stdin })).code).toBe(1);
  });

  it.each([
    ['{', 'line 1: no JSON'],
    ['[]', 'line 1: needs a "key"'],
    ['7', 'line 1: no JSON object'],
    ['{"key":"","value":"x"}', 'line 1: needs a "key"'],
    ['{"key":"a"}', 'line 1: needs a "value"'],
    ['{"key":"a","keyBase64":"YQ==","value":""}', 'line 1: needs a "key"'],
    ['{"key":"a","valueBase64":"Y"}', 'line 1: needs a "value"'],
    ['{"key":"a","value":"","lease":7}', 'line 1: "lease"'],
    ['{"key":"a","value":"","lease":"7","ttl":-1}', 'line 1: "ttl"'],
    ['{"key":"a","value":"","ttl":1}', 'line 1: "ttl" needs'],
  ])('refuses %s', async (stdin, why) => {
    const { code, err } = await at.run(['import'], { stdin });
    expect(code).toBe(1);
    expect(err).toContain(why);
  });

  it('takes the last of the lines with the same key, as if they were put', async () => {
    const stdin = line('/twice', '1') + line('/twice', '2');
    expect(await at.json(['import', '--overwrite'], { stdin })).toMatchObject([{ put: 2 }]);
    expect(await at.state('/twice')).toEqual({ '': '2 0' });
  });

  it('goes on from a line', async () => {
    const stdin = line('/skip/1', 'x') + line('/skip/2', 'x');
    await at.ok(['import', '--skip-lines', '1'], { stdin });
    expect(Object.keys(await at.state('/skip/'))).toEqual(['2']);
  });

  it('gives keys of one lease one new lease, and leaves none behind that no key has', async () => {
    const lease = { lease: 'abc', ttl: 600 };
    const stdin =
      line('/lease/a', '1', lease) +
      line('/lease/b', '2', lease) +
      line('/lease/c', '3', { lease: 'def', ttl: 0 });
    const { err } = await at.run(['import'], { stdin });
    expect(err).toContain('1 key left out: the lease had ended\n1 new lease: these keys go');
    const { a, b, c } = await at.state('/lease/');
    expect(a?.split(' ')[1]).toBe(b?.split(' ')[1]);
    expect(a?.split(' ')[1]).not.toBe('0');
    expect(c).toBeUndefined();
    const leases = () => at.client.call('/etcdserverpb.Lease/LeaseLeases', 'read', Buffer.alloc(0));
    const before = (await leases()).length;
    await at.ok(['import'], { stdin });
    expect((await leases()).length).toBe(before);
    await at.ok(['import', '--without-leases', '--if-absent'], { stdin });
    expect((await at.state('/lease/')).c).toBe('3 0');
  });

  it('ends in order when it is interrupted, and says how to go on', async () => {
    const stop = new AbortController();
    const stdin = (async function* () {
      for (let i = 0; i < 150; i += 1) yield Buffer.from(line(`/stop/${i}`, 'x'));
      stop.abort();
      for (let i = 150; i < 400; i += 1) yield Buffer.from(line(`/stop/${i}`, 'x'));
    })();
    const { code, err } = await at.run(['import'], { interrupted: stop.signal, io: { stdin } });
    expect(code).toBe(5);
    expect(err).toContain('100 lines imported; the same import again, or with --skip-lines 100,');
    expect(Object.keys(await at.state('/stop/'))).toHaveLength(100);
  });

  describe.each<Failure>(['lost', 'unanswered'])('a call that is %s', (how) => {
    it('is made up for by the same import', async () => {
      const large = 'l'.repeat(300_000);
      for (let n = 1; ; n += 1) {
        const prefix = `/fails/${how}/${n}/`;
        const keys = ['1', '2', '3'].map((key) => line(`${prefix}${key}`, large));
        const stdin = keys.join('') + line(`${prefix}4`, 'x', { lease: 'a', ttl: 600 });
        const said = await at.runFailing(['import'], n, how, { stdin });
        await at.ok(['import'], { stdin });
        const state = await at.state(prefix);
        expect(Object.values(state).map((value) => value.split(' ')[0]?.length)).toEqual([
          ...[300_000, 300_000, 300_000, 1],
        ]);
        if (said === 'failed') continue;
        expect(n).toBeGreaterThan(6);
        return;
      }
    });
  });
});

describeWith([targetTool], 'export and import', () => {
  const [from, into] = [useTarget(), useTarget()];
  checkRoundTrip(
    () => from(),
    () => into(),
    slow ? 100 : 15,
  );

  it('exports one revision, while others write', async () => {
    const at = new DataCommands(from());
    for (let i = 0; i < 40; i += 1) await at.put(`/one/${10 + i}`, 'old');
    // The first page has gone out, the second has not been asked for.
    let lines = '';
    let wrote = false;
    const stdout = async (data: string | Uint8Array) => {
      lines += data.toString();
      if (wrote) return;
      wrote = true;
      for (let i = 0; i < 40; i += 1) await at.put(`/one/${10 + i}`, 'new');
      await at.put('/one/99', 'new');
    };
    const { code, err } = await at.run(['export', '/one/'], { io: { stdout } });
    expect(code).toBe(0);
    expect(lines.trimEnd().split('\n')).toHaveLength(40);
    expect(lines).not.toContain('new');
    expect(err).toMatch(/^40 keys of revision \d+\n$/);
    await at.close();
  });

  it('says so when the revision is compacted meanwhile, and goes on elsewhere', async () => {
    const at = new DataCommands(from());
    for (let i = 0; i < 40; i += 1) await at.put(`/two/${10 + i}`, 'x');
    let last = '';
    const stdout = async (data: string | Uint8Array) => {
      if (last === '') {
        const revision = await at.put('/elsewhere', 'x');
        const request = encodeCompactionRequest({ revision, physical: true });
        await at.client.call(method.compact, 'write', request);
      }
      last = (JSON.parse(data.toString()) as { key: string }).key;
    };
    const { code, err } = await at.run(['export', '/two/'], { io: { stdout } });
    expect(code).toBe(1);
    expect(err).toMatch(/^16 keys of revision \d+ written, and not all\nError: revision \d+ can't/);
    const rest = await at.json(['export', '/two/', '--from', last]);
    expect(rest).toHaveLength(24);
    await at.close();
  });

  it('writes leases with their TTL', async () => {
    const at = new DataCommands(from());
    const lease = await at.grant(600);
    await at.put('/ttl', Buffer.from([0xff]), lease);
    const [record] = await at.json(['export', '/ttl']);
    expect(record).toMatchObject({
      ...{ key: '/ttl', valueBase64: '/w==', version: 1 },
      ...{ lease: lease.toString(16), ttl: 600 },
    });
    await at.close();
  });
});

describeWith(['kvorum', 'etcd37'], 'from kvorum to etcd and back', () => {
  const kvorum = useServer('kvorum');
  const etcd = useServer('etcd');
  checkRoundTrip(
    () => kvorum(),
    () => etcd(),
    3,
  );
  checkRoundTrip(
    () => etcd(),
    () => kvorum(),
    3,
  );
});

function checkRoundTrip(
  from: () => ConstructorParameters<typeof DataCommands>[0],
  into: () => ConstructorParameters<typeof DataCommands>[0],
  numRuns: number,
): void {
  let runs = 0;
  it('an export into a store without these keys gives the same', { timeout: 300_000 }, async () => {
    const [source, target] = [new DataCommands(from()), new DataCommands(into())];
    const bytes = fc.uint8Array({ maxLength: 12 });
    const value = fc.oneof(bytes, fc.constant(new Uint8Array(200_000).fill(120)));
    const entry = fc.tuple(fc.oneof(bytes, fc.string().map(Buffer.from)), value);
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 140 }), async (entries) => {
        runs += 1;
        const prefix = `/round/${from().kind}/${runs}/`;
        for (const [key, bytesOfValue] of entries) {
          await source.putBytes(prefix, Buffer.from(key), Buffer.from(bytesOfValue));
        }
        const before = await source.state(prefix);
        const stdin = await source.ok(['export', prefix]);
        await target.ok(['import'], { stdin });
        expect(await target.state(prefix)).toEqual(before);
        const keys = Object.keys(before).length;
        expect(await target.json(['import'], { stdin })).toMatchObject([{ put: 0, same: keys }]);
      }),
      { numRuns },
    );
    await source.close();
    await target.close();
  });
}
