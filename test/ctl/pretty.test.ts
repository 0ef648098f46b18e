/** What people see on a terminal, and what printers make of bytes. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kubernetesObject, prettyKey, prettyValue } from '../../src/ctl/answers/index.js';
import type { CommandContext } from '../../src/ctl/command/index.js';
import {
  goJson,
  goQuotedBytes,
  messageJson,
  paintOf,
  tableText,
} from '../../src/ctl/print/index.js';
import { QuoteError, wordsOf } from '../../src/ctl/text/index.js';
import {
  encodeTxnRequest,
  jsonMessage,
  type MessageValue,
  messageBytes,
  messageValue,
} from '../../src/proto/index.js';

const context = (pretty: boolean, env: CommandContext['io']['env'] = {}) =>
  ({ pretty, io: { env } }) as unknown as CommandContext;

const plain = paintOf(context(false));
const coloured = paintOf(context(true));

describe('colours', () => {
  it('are there for people only, and never with NO_COLOR', () => {
    expect(coloured.red('x')).toBe('\u001b[31mx\u001b[39m');
    expect(plain.red('x')).toBe('x');
    expect(paintOf(context(true, { NO_COLOR: '1' })).red('x')).toBe('x');
    expect(paintOf(context(true, { TERM: 'dumb' })).red('x')).toBe('x');
    // no-color.org: what is set and empty does not count.
    expect(paintOf(context(true, { NO_COLOR: '' })).red('x')).not.toBe('x');
  });
});

/** A message of texts and messages, by field number. */
function fields(...all: ReadonlyArray<readonly [number, string | Buffer]>): Buffer {
  return Buffer.concat(
    all.map(([number, value]) => {
      const bytes = Buffer.from(value as string);
      return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
    }),
  );
}

describe('a value for people', () => {
  const shown = (value: string | Buffer) => prettyValue(Buffer.from(value as string), plain);

  it('is JSON over several lines', () => {
    expect(shown('{"a":[1,true],"b":"x"}')).toBe(
      '{\n  "a": [\n    1,\n    true\n  ],\n  "b": "x"\n}',
    );
    expect(prettyValue(Buffer.from('{"a":1}'), coloured)).toContain('\u001b[34m"a"\u001b[39m:');
  });

  it('stays as it is where JSON would be another one', () => {
    for (const text of ['{"a":12345678901234567890}', '{"a":1,"a":2}', '[1.0]', '{broken']) {
      expect(shown(text)).toBe(text);
    }
  });

  it('is what Kubernetes has stored', () => {
    const typeMeta = fields([1, 'v1'], [2, 'Pod']);
    const object = fields([1, fields([1, 'web-0'], [3, 'shop'])]);
    const value = Buffer.concat([Buffer.from('k8s\0'), fields([1, typeMeta], [2, object])]);
    expect(kubernetesObject(value)).toEqual({
      ...{ kind: 'Pod', apiVersion: 'v1', namespace: 'shop', name: 'web-0' },
    });
    expect(shown(value)).toBe(`Pod v1 shop/web-0 (protobuf, ${value.length} bytes)`);
    expect(kubernetesObject(Buffer.from('k8s\0\xff\xff', 'latin1'))).toBeUndefined();
    expect(kubernetesObject(Buffer.from('k8s'))).toBeUndefined();
  });

  it('does nothing to the terminal', () => {
    expect(shown('\u001b[2J')).toBe('\\x1b[2J (4 bytes)');
    expect(shown(Buffer.alloc(100, 7))).toBe(`${'\\a'.repeat(64)}… (100 bytes)`);
    expect(shown('')).toBe('(empty)');
    expect(shown('two\nlines')).toBe('two\nlines');
    expect(prettyKey('a\u0007\xff', plain)).toBe('"a\\a\\xff"');
    expect(prettyKey('plain/key', plain)).toBe('plain/key');
  });
});

describe('texts of Go', () => {
  it('are quoted by %q', () => {
    const quoted = (bytes: string) => goQuotedBytes(Buffer.from(bytes, 'latin1'));
    expect(quoted('a"\\\n\x00\x7f\xff')).toBe('"a\\"\\\\\\n\\x00\\x7f\\xff"');
    expect(goQuotedBytes(Buffer.from('€😀\u00a0\u200b\ufffd'))).toBe('"€😀\\u00a0\\u200b\ufffd"');
    expect(quoted('\xe2\x82')).toBe('"\\xe2\\x82"');
    expect(quoted('\xed\xa0\x80')).toBe('"\\xed\\xa0\\x80"');
  });

  it('are what was quoted once they are words again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
        const line = Buffer.from(goQuotedBytes(bytes)).toString('latin1');
        expect(wordsOf(`put ${line}`)).toEqual(['put', Buffer.from(bytes).toString('latin1')]);
      }),
    );
  });

  it('are split as etcdctl splits them', () => {
    expect(wordsOf(`put  'a b' "c\\td" e"f`)).toEqual(['put', 'a b', 'c\td', 'e"f']);
    expect(() => wordsOf('put "\\q"')).toThrow(QuoteError);
    expect(() => wordsOf('put "\\777"')).toThrow(QuoteError);
  });

  it('are JSON with whole numbers of 64 bits and without HTML', () => {
    expect(
      goJson({ a: 2n ** 64n - 1n, b: Buffer.from('x'), c: undefined, d: '<&>', e: null }),
    ).toBe('{"a":18446744073709551615,"b":"eA==","d":"\\u003c\\u0026\\u003e","e":null}');
  });
});

describe('a message as plain data', () => {
  const type = jsonMessage('etcdserverpb.RangeResponse');

  it('is what it was after a way over the wire', () => {
    const kv = fc.record(
      {
        key: fc.uint8Array({ minLength: 1 }).map(Buffer.from),
        lease: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
      },
      { requiredKeys: [] },
    );
    const value = fc.record(
      { kvs: fc.array(kv, { minLength: 1 }), more: fc.constant(true), count: fc.constant(7n) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(value, (one) => {
        const bytes = messageBytes(one as unknown as MessageValue, type);
        const again = messageValue(bytes, type);
        expect(messageBytes(again, type)).toEqual(bytes);
        expect(again.kvs === undefined).toBe(one.kvs === undefined);
      }),
    );
  });

  it('has a oneof as the field that Go has', () => {
    const bytes = Buffer.from([0x1a, 0x02, 0x12, 0x00]);
    expect(messageJson(bytes, 'etcdserverpb.TxnResponse')).toEqual({
      responses: [{ Response: { response_put: {} } }],
    });
    expect(encodeTxnRequest({ compare: [], success: [], failure: [] })).toHaveLength(0);
  });
});

it('a table has its header in the middle and its cells on the right', () => {
  expect(tableText({ header: ['ID', 'is_learner'], rows: [['12345', 'no']] })).toBe(
    [
      '┌───────┬────────────┐',
      '│  ID   │ IS LEARNER │',
      '├───────┼────────────┤',
      '│ 12345 │         no │',
      '└───────┴────────────┘',
      '',
    ].join('\n'),
  );
});
