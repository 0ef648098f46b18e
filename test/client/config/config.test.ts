import { expect, it } from 'vitest';
import {
  type CallOptions,
  type Config,
  type ConfigProblem,
  config,
  type StandardSchema,
  text,
} from '../../../src/client/index.js';
import { eventually } from '../../helpers/eventually.js';
import { startProxy } from '../proxy.js';
import { describeTargets, everywhere } from '../target.js';

interface Settings {
  readonly logLevel: 'info' | 'debug';
  readonly low: number;
  readonly high: number;
}
type Given = Omit<Settings, 'high'> & { readonly high?: number };

function check(
  value: unknown,
): { value: Settings } | { issues: { message: string; path?: string[] }[] } {
  const { logLevel, low, high = 100 } = value as Record<string, unknown>;
  const issues: { message: string; path?: string[] }[] = [];
  if (logLevel !== 'info' && logLevel !== 'debug') {
    issues.push({ message: 'must be info or debug', path: ['logLevel'] });
  }
  if (typeof low !== 'number' || typeof high !== 'number') issues.push({ message: 'no number' });
  else if (low > high) issues.push({ message: 'low is above high' });
  if (issues.length > 0) return { issues };
  return { value: { logLevel, low, high } as Settings };
}

/** As zod and others make them; `high` has a default. */
const schema: StandardSchema<Given, Settings> = {
  '~standard': { version: 1, vendor: 'test', validate: check },
};
/** The same, asynchronous. */
const slowly: StandardSchema<Given, Settings> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => Promise.resolve().then(() => check(value)),
  },
};

const defaults = { logLevel: 'info', low: 1 } as const;

function becomes(live: Config<Settings, Given>, expected: Partial<Settings>) {
  return eventually(
    () => {
      const now = live.current;
      const same = Object.entries(expected).every(([key, of]) => now[key as keyof Settings] === of);
      return same ? live.state : undefined;
    },
    `${JSON.stringify(expected)}, not ${JSON.stringify(live.current)}`,
  );
}

describeTargets('config', { targets: everywhere }, (target) => {
  const open = (
    more: {
      readonly prefix: string;
      readonly group?: string;
      readonly node?: string;
      readonly invalidStart?: 'defaults';
      readonly onProblem?: (problem: ConfigProblem) => void;
    },
    client = target.client(),
  ) => config(client, { schema, defaults, ...more });

  it('has defaults, and each layer replaces those before it', async () => {
    const prefix = `${target.prefix()}app`;
    const kv = target.client().kv.as(text);
    await using live = await open({ prefix, group: 'g', node: 'n' });
    expect(live.current).toEqual({ logLevel: 'info', low: 1, high: 100 });
    expect(live.state.sources).toEqual({ logLevel: 'defaults', low: 'defaults' });
    await kv.put(`${prefix}/fleet/low`, '2');
    await kv.put(`${prefix}/group/g/low`, '3');
    await kv.put(`${prefix}/group/other/low`, '30');
    await kv.put(`${prefix}/node/n/low`, '4');
    await kv.put(`${prefix}/node/other/low`, '40');
    await kv.put(`${prefix}/fleet/high`, '50');
    const state = await becomes(live, { low: 4, high: 50 });
    expect(state.sources).toEqual({ logLevel: 'defaults', low: 'node', high: 'fleet' });
    await kv.delete(`${prefix}/node/n/low`);
    await becomes(live, { low: 3 });
    await kv.delete(`${prefix}/group/g/low`);
    await becomes(live, { low: 2 });
    // A node without a group has only two layers.
    await using other = await open({ prefix, node: 'other' });
    expect(other.current.low).toBe(40);
    await expect(async () => other.update({ low: 1 }, { layer: 'group' })).rejects.toMatchObject({
      reason: 'INVALID_OPTION',
    });
  });

  it('is live: each valid change, none for the keys of other nodes', async () => {
    const prefix = `${target.prefix()}app`;
    const kv = target.client().kv.as(text);
    await using live = await open({ prefix, node: 'n' });
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { value } of live) seen.push(value.low);
    })();
    for (const low of [2, 3]) {
      await live.update({ low });
      await eventually(() => (seen.at(-1) === low ? true : undefined), `${low} in ${seen}`);
      await kv.put(`${prefix}/node/other/low`, `${low * 10}`);
      await kv.put(`${prefix}/fleet/low`, `${low}`); // again the same
    }
    await live.update({ low: 4 });
    await becomes(live, { low: 4 });
    await live.close();
    await reading;
    expect(seen.filter((low) => low !== 4)).toEqual([1, 2, 3]);
  });

  it('an invalid change is reported and does not replace the good one', async () => {
    const prefix = `${target.prefix()}app`;
    const kv = target.client().kv.as(text);
    const problems: ConfigProblem[] = [];
    await using live = await open({ prefix, onProblem: (problem) => problems.push(problem) });
    const mended = (async () => {
      const told: (string | undefined)[] = [];
      for await (const problem of live.problems()) {
        told.push(problem?.error.message);
        if (problem === undefined) return told;
      }
      return told;
    })();
    await live.update({ low: 5 });
    await becomes(live, { low: 5 });
    const bad = await kv.put(`${prefix}/fleet/logLevel`, '"loud"');
    await eventually(() => live.problem, 'a problem');
    expect(live.current).toEqual({ logLevel: 'info', low: 5, high: 100 });
    expect(live.problem).toMatchObject({
      revision: bad.revision,
      issues: [{ path: ['logLevel'] }],
      error: { reason: 'DECODE_FAILED' },
    });
    await kv.put(`${prefix}/fleet/low`, 'not json');
    await eventually(() => (problems.length === 2 ? true : undefined), 'the second');
    expect(live.problem?.error.message).toContain('/fleet/low is not JSON');
    await kv.put(`${prefix}/fleet/logLevel`, '"debug"');
    expect(live.current.low).toBe(5);
    // Replacing the broken one mends it.
    await live.update({ low: 6 });
    await becomes(live, { logLevel: 'debug', low: 6 });
    expect(live.problem).toBeUndefined();
    expect((await mended).at(-1)).toBeUndefined();
  });

  it('what would be invalid is not written', async () => {
    const prefix = `${target.prefix()}app`;
    await using live = await open({ prefix });
    await expect(live.update({ low: 200 })).rejects.toMatchObject({
      reason: 'ENCODE_FAILED',
      outcome: 'failed',
    });
    expect(await target.client().kv.count({ prefix })).toBe(0);
    await live.update({ low: 200, high: 300 });
    await expect(live.update({}, { remove: ['high'] })).rejects.toMatchObject({
      reason: 'ENCODE_FAILED',
    });
    await becomes(live, { low: 200, high: 300 });
  });

  it('refuses options that there are not, and layers of other names, before anything is sent', async () => {
    await using live = await config<Given, Settings>(target.client(), {
      ...{ prefix: target.prefix(), schema, defaults, node: 'n' },
    });
    // From JavaScript.
    const wrong = (options: object) => options as CallOptions;
    for (const asked of [
      () => live.update({ low: 2 }, wrong({ coment: 'x' })),
      () => live.update({ low: 2 }, wrong({ layer: 'flet' })),
      () => live.rollback(1, wrong({ authr: 'x' })),
      () => live.history(wrong({ from: 3 })),
    ]) {
      await expect(asked()).rejects.toMatchObject({ reason: 'INVALID_OPTION' });
    }
    await expect(live.update({ low: 2 }, wrong({ coment: 'x' }))).rejects.toThrow('comment');
    expect(live.current.low).toBe(1);
  });

  it('sets several properties together: nobody sees one without the other', async () => {
    const prefix = `${target.prefix()}app`;
    await using live = await open({ prefix });
    await using watching = await open({ prefix });
    const pairs: [number, number][] = [];
    const reading = (async () => {
      for await (const { value } of watching) pairs.push([value.low, value.high]);
    })();
    for (let i = 1; i <= 30; i += 1) {
      const { changed } = await live.update({ low: i * 10, high: i * 10 + 1 });
      expect(changed).toHaveLength(2);
    }
    await becomes(watching, { low: 300 });
    expect(watching.problem).toBeUndefined();
    await watching.close();
    await reading;
    for (const [low, high] of pairs.slice(1)) expect(high).toBe(low + 1);
    expect((await live.update({ low: 300 })).changed).toEqual([]);
  });

  it('changes of several writers are all there, whichever came first', async () => {
    const prefix = `${target.prefix()}app`;
    const writers = await Promise.all([1, 2, 3, 4].map(() => open({ prefix })));
    await Promise.all(
      writers.map(async (live) => {
        for (let i = 0; i < 5; i += 1) {
          await live.update(({ low = 0 }) => ({ low: low + 1 }), { attemptsMax: 100 });
        }
      }),
    );
    for (const live of writers) await becomes(live, { low: 20 });
    const [one] = writers;
    const before = one?.state.revision ?? 0;
    await one?.update({ low: 50 }, { ifRevision: before });
    await expect(one?.update({ low: 51 }, { ifRevision: before })).rejects.toMatchObject({
      reason: 'CONFLICT',
    });
    for (const live of writers) await live.close();
  });

  it('what became invalid by what others did meanwhile is not written', async () => {
    const prefix = `${target.prefix()}app`;
    await using other = await open({ prefix });
    await other.update({ high: 200 });
    let meanwhile: (() => Promise<unknown>) | undefined;
    const client = target.client({
      interceptors: [
        async (call, next) => {
          const first = call.method.endsWith('/Txn') ? meanwhile : undefined;
          if (first !== undefined) meanwhile = undefined;
          await first?.();
          return next(call);
        },
      ],
    });
    await using live = await open({ prefix }, client);
    // Valid as long as `high` is 200; a deletion leaves nothing that a range could show.
    meanwhile = () => other.update({}, { remove: ['high'] });
    await expect(live.update({ low: 150 })).rejects.toMatchObject({ reason: 'ENCODE_FAILED' });
    await other.update({ high: 120 });
    // By hand, without what this client writes beside it.
    meanwhile = () => target.client().kv.put(`${prefix}/fleet/high`, '115');
    await expect(live.update({ low: 118 })).rejects.toMatchObject({ reason: 'ENCODE_FAILED' });
  });

  it('has a history, and goes back to any of it', async () => {
    const prefix = `${target.prefix()}app`;
    const client = target.client();
    await using live = await open({ prefix, node: 'n' }, client);
    const first = await live.update({ low: 10 }, { author: 'ann', comment: 'begin' });
    await live.update({ low: 20, high: 30 }, { layer: 'node' });
    const byHand = await client.kv.put(`${prefix}/fleet/logLevel`, '"debug"');
    await client.kv.put(`${prefix}/node/other/low`, '7');
    const removed = await live.update({}, { layer: 'node', remove: ['low', 'high'] });
    const versions = await live.history();
    expect(versions).toMatchObject([
      { revision: first.revision, author: 'ann', comment: 'begin' },
      {},
      { revision: byHand.revision, author: undefined },
      { revision: removed.revision },
    ]);
    expect(versions[1]?.edits).toEqual([
      { layer: 'node', of: 'n', property: 'low', before: undefined, after: '20' },
      { layer: 'node', of: 'n', property: 'high', before: undefined, after: '30' },
    ]);
    expect(versions[3]?.edits.map(({ before, after }) => [before, after])).toEqual([
      ['20', undefined],
      ['30', undefined],
    ]);
    expect(await live.history({ limit: 1 })).toEqual([versions[3]]);
    expect(await live.history({ fromRevision: byHand.revision })).toEqual(versions.slice(2));
    await becomes(live, { logLevel: 'debug', low: 10 });

    const back = await live.rollback(versions[1]?.revision ?? 0, { author: 'bob' });
    await becomes(live, { logLevel: 'info', low: 20, high: 30 });
    const last = (await live.history()).at(-1);
    expect(last).toMatchObject({ revision: back.revision, author: 'bob' });
    expect(last?.comment).toContain('rollback');
    expect(last?.edits).toHaveLength(3);
    // One layer alone.
    await live.rollback(first.revision, { layer: 'node' });
    await becomes(live, { low: 10, high: 100 });
    // Everything was there at some time, but is compacted now.
    await client.maintenance.compact(back.revision);
    await expect(live.rollback(first.revision)).rejects.toMatchObject({ reason: 'COMPACTED' });
    const left = await live.history();
    expect(left.every(({ revision }) => revision >= back.revision)).toBe(true);
    expect(left.length).toBeGreaterThan(0);
  });

  it('history: of what somebody deleted by hand, and of nothing', async () => {
    const prefix = `${target.prefix()}app`;
    const client = target.client();
    await using live = await open({ prefix }, client);
    expect(await live.history()).toEqual([]);
    await client.kv.put(`${prefix}/fleet/low`, '2');
    await client.kv.put(`${prefix}/fleet/high`, '20');
    await client.kv.delete(`${prefix}/fleet/low`);
    expect((await live.history()).map(({ edits }) => edits[0]?.after)).toEqual([
      '2',
      '20',
      undefined,
    ]);
  });

  it('refuses to start with what is invalid, unless the defaults will do', async () => {
    const prefix = `${target.prefix()}app`;
    const client = target.client();
    await client.kv.put(`${prefix}/fleet/low`, '1000');
    await expect(open({ prefix })).rejects.toMatchObject({ reason: 'DECODE_FAILED' });
    const problems: ConfigProblem[] = [];
    const onProblem = (problem: ConfigProblem) => problems.push(problem);
    await using live = await open({ prefix, invalidStart: 'defaults', onProblem });
    expect(live.current.low).toBe(1);
    await eventually(() => (problems.length === 1 ? true : undefined), 'reported');
    await client.kv.put(`${prefix}/fleet/low`, '10');
    await becomes(live, { low: 10 });
  });

  it('takes a schema that is asynchronous', async () => {
    const prefix = `${target.prefix()}app`;
    await using live = await config(target.client(), { prefix, schema: slowly, defaults });
    await live.update({ logLevel: 'debug' });
    await becomes(live, { logLevel: 'debug' });
    await expect(live.update({ low: 999 })).rejects.toMatchObject({ reason: 'ENCODE_FAILED' });
  });

  it('stays as it is while the servers are away, and follows again after it', async () => {
    const prefix = `${target.prefix()}app`;
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    await using live = await open({ prefix }, target.client({ endpoints: proxy.endpoint }));
    await proxy.refuse();
    await using other = await open({ prefix });
    await other.update({ low: 7 });
    await becomes(other, { low: 7 });
    expect(live.current.low).toBe(1);
    await proxy.accept();
    await becomes(live, { low: 7 });
    await proxy[Symbol.asyncDispose]();
  });

  it('ends with its client, and does not start with a signal that has aborted', async () => {
    const prefix = `${target.prefix()}app`;
    const client = target.client();
    const live = await open({ prefix }, client);
    const ended = (async () => {
      for await (const _ of live);
      return 'ended';
    })();
    await client.close();
    expect(await ended).toBe('ended');
    expect(live.current.low).toBe(1);
    await live.close();
    const signal = AbortSignal.abort();
    const opening = config(target.client(), { prefix, schema, defaults, signal });
    await expect(opening).rejects.toMatchObject({ reason: 'ABORTED' });
    for (const wrong of [{ prefix: '' }, { prefix, node: 'a/b' }, { prefix, group: '' }]) {
      await expect(async () => open(wrong)).rejects.toMatchObject({ reason: 'INVALID_OPTION' });
    }
  });
});
