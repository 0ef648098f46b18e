/**
 * What must compile and what must not. The functions are never called: the compiler is the test
 * (`npm run check`), and each `@ts-expect-error` fails if the line below it compiles.
 */

import { describe, expectTypeOf, it } from 'vitest';
import {
  type CasResult,
  type DeleteEvent,
  type Etcd,
  json,
  type KeyInfo,
  type KeyValue,
  type Kv,
  type PutEvent,
  type StandardSchema,
  text,
} from '../../src/client/index.js';

declare const client: Etcd;
declare const kv: Kv<string>;
declare const node: StandardSchema<
  { readonly addr: string; readonly weight?: number },
  { readonly addr: string; readonly weight: number }
>;

/** Compiles its body, does not run it. */
function compiled(name: string, _body: () => unknown): void {
  it(`compiles: ${name}`, () => undefined);
}

describe('ranges', () => {
  compiled('exactly one way to say which keys', () => {
    kv.range({ key: 'a' });
    kv.range({ prefix: 'a' });
    kv.range({ from: 'a' });
    kv.range({ from: 'a', to: 'b' });
    kv.range({ all: true });
    // @ts-expect-error: two ways at once
    kv.range({ key: 'a', prefix: 'b' });
    // @ts-expect-error: an end without a beginning
    kv.range({ to: 'b' });
    // @ts-expect-error: prefixes have no end
    kv.range({ prefix: 'a', to: 'b' });
    // @ts-expect-error: all is all
    kv.range({ all: true, from: 'a' });
    // @ts-expect-error: which?
    kv.range({});
  });

  compiled('without values there are none in the result', async () => {
    const infos = await kv.range({ all: true }, { keysOnly: true });
    expectTypeOf(infos.kvs).toEqualTypeOf<readonly KeyInfo[]>();
    const entries = await kv.range({ all: true }, { limit: 3 });
    expectTypeOf(entries.kvs).toEqualTypeOf<readonly KeyValue<string>[]>();
    for await (const info of kv.scan({ all: true }, { keysOnly: true })) {
      // @ts-expect-error: no value was asked for
      info.value;
    }
    // @ts-expect-error: an order needs to be said, not just a target
    kv.range({ all: true }, { sort: { by: 'value' } });
    // @ts-expect-error: pages are in key order
    kv.scan({ all: true }, { sort: { by: 'key', order: 'ascending' } });
  });
});

describe('writes', () => {
  compiled('a lease is attached or kept, not both', () => {
    kv.put('a', '1', { lease: 7n });
    kv.put('a', '1', { keepLease: true });
    // @ts-expect-error: which of the two?
    kv.put('a', '1', { lease: 7n, keepLease: true });
    // @ts-expect-error: ids are bigints
    kv.put('a', '1', { lease: 7 });
    // @ts-expect-error: text was promised
    kv.put('a', 1);
    // @ts-expect-error: touching has no value
    kv.touch('a', { keepLease: true });
  });

  compiled('"revisions and lease ids are strings" (etcd3): numbers and bigints', async () => {
    const result = await kv.put('a', '1');
    expectTypeOf(result.revision).toExtend<number>();
    expectTypeOf(result.header.memberId).toEqualTypeOf<bigint>();
    const got = await kv.get('a');
    expectTypeOf(got).toEqualTypeOf<KeyValue<string> | undefined>();
    expectTypeOf<KeyValue<string>['lease']>().toExtend<bigint>();
    expectTypeOf(await client.leases.list()).toExtend<readonly bigint[]>();
  });

  compiled('what was there before is in the result if it was asked for', async () => {
    const before = await kv.put('a', '1', { prev: true });
    expectTypeOf(before.prev).toEqualTypeOf<KeyValue<string> | undefined>();
    const plain = await kv.put('a', '1');
    // @ts-expect-error: it was not asked for
    plain.prev;
    const deleted = await kv.deleteRange({ all: true }, { prev: true });
    expectTypeOf(deleted.prevs).toEqualTypeOf<readonly KeyValue<string>[]>();
  });

  compiled(
    'a compare-and-set tells what is there only if it failed',
    (result: CasResult<string> = client as never) => {
      if (result.ok) {
        // @ts-expect-error: it succeeded
        result.current;
      } else {
        expectTypeOf(result.current).toEqualTypeOf<KeyValue<string> | undefined>();
      }
      // @ts-expect-error: from which revision?
      kv.replace('a', '1', {});
    },
  );
});

describe('codecs', () => {
  compiled('decide what values are', async () => {
    const numbers = client.kv.as(json<number>());
    await numbers.put('a', 1);
    // @ts-expect-error: not a number
    await numbers.put('a', '1');
    expectTypeOf((await numbers.get('a'))?.value).toEqualTypeOf<number | undefined>();
    expectTypeOf(client.kv.as(text)).toEqualTypeOf<Kv<string>>();
  });

  compiled('schemas take their input and give their output', async () => {
    const nodes = client.kv.namespace('/nodes/').typed(node);
    await nodes.put('n1', { addr: 'a' });
    // @ts-expect-error: no address
    await nodes.put('n1', { weight: 1 });
    expectTypeOf((await nodes.get('n1'))?.value.weight).toEqualTypeOf<number | undefined>();
    await nodes.modify('n1', (current) => {
      expectTypeOf(current).toEqualTypeOf<
        { readonly addr: string; readonly weight: number } | undefined
      >();
      return { addr: current?.addr ?? 'new' };
    });
  });
});

describe('transactions', () => {
  compiled(
    '"no typed results" (etcd3): each branch has the results of its operations',
    async () => {
      const nodes = client.kv.typed(node);
      const result = await client.kv
        .txn()
        .if(kv.when('a').version('=', 0))
        .then(kv.ops.put('a', '1', { prev: true }), nodes.ops.get('n1'))
        .else(kv.ops.range({ all: true }, { keysOnly: true }))
        .commit();
      if (result.ok) {
        expectTypeOf(result.results[0].prev).toEqualTypeOf<KeyValue<string> | undefined>();
        expectTypeOf(result.results[1]?.value.weight).toEqualTypeOf<number | undefined>();
        // @ts-expect-error: there are two
        result.results[2];
      } else {
        expectTypeOf(result.results[0].kvs).toEqualTypeOf<readonly KeyInfo[]>();
        // @ts-expect-error: there is one
        result.results[1];
      }
    },
  );

  compiled('are committed, not awaited', async () => {
    // @ts-expect-error: the stage has a method `then`, which is not that of a promise
    await kv.txn().if();
    // @ts-expect-error: nor can one that is complete: it is not what commit() returns
    await kv.txn().then(kv.ops.get('a'));
    // @ts-expect-error: nor is it a result of an async function
    const forgets = async () => kv.txn().then(kv.ops.get('a'));
    forgets();
    await kv.txn().then(kv.ops.get('a')).commit();
    // @ts-expect-error: conditions come first
    kv.txn().then(kv.ops.get('a')).if();
    // @ts-expect-error: not a relation
    kv.when('a').version('>=', 1);
  });
});

describe('watches', () => {
  compiled(
    '"ignore() did the opposite" (etcd3): only what is let through is in the type',
    async () => {
      for await (const event of kv.watch({ all: true }, { only: 'put' })) {
        expectTypeOf(event).toEqualTypeOf<PutEvent<string>>();
      }
      for await (const event of kv.watch({ all: true }, { only: 'delete' })) {
        expectTypeOf(event).toEqualTypeOf<DeleteEvent>();
      }
      for await (const event of kv.watch({ all: true })) {
        expectTypeOf(event).toEqualTypeOf<PutEvent<string> | DeleteEvent>();
      }
      for await (const event of kv.watch({ all: true }, { progress: true, prev: true })) {
        if (event.type === 'progress') continue;
        expectTypeOf(event.prev).toEqualTypeOf<KeyValue<string> | undefined>();
      }
      // @ts-expect-error: a watch has no deadline
      kv.watch({ all: true }, { timeoutMs: 1 });
      // @ts-expect-error: the state comes first, so every kind of change must
      kv.watchFrom({ all: true }, { only: 'put' });
    },
  );
});
