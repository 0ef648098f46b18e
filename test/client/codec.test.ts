import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, json, type StandardSchema, text, typed } from '../../src/client/index.js';
import { keyString, keyText, prefixEnd, spanOf } from '../../src/client/keyspace/key-span.js';
import { describeTargets } from './target.js';

interface Node {
  readonly addr: string;
  readonly weight: number;
}

/** What zod and its kind would make: checks an address, has a default for the weight. */
const nodeSchema: StandardSchema<{ readonly addr: string; readonly weight?: number }, Node> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate(value) {
      const given = value as Partial<Node>;
      const issues = [];
      if (typeof given.addr !== 'string') issues.push({ message: 'no address', path: ['addr'] });
      if (typeof (given.weight ?? 1) !== 'number') {
        issues.push({ message: 'not a number', path: [{ key: 'weight' }] });
      }
      if (issues.length > 0) return { issues };
      return { value: { addr: String(given.addr), weight: given.weight ?? 1 } };
    },
  },
};

describe('codecs', () => {
  it('text keeps text and refuses bytes that are none', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        expect(text.decode(Buffer.from(text.encode(value)))).toBe(value);
      }),
    );
    expect(() => text.decode(Buffer.from([0xff]))).toThrow(/UTF-8/);
    expect(text.decode(Buffer.from('\ufffd'))).toBe('\ufffd');
  });

  it('JSON keeps JSON and refuses what is none', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false } as object), (value) => {
        const codec = json<unknown>();
        expect(codec.decode(Buffer.from(codec.encode(value)))).toEqual(
          JSON.parse(JSON.stringify(value)),
        );
      }),
    );
    expect(() => json<unknown>().encode(undefined)).toThrow(TypeError);
  });

  it('bytes take text, too', () => {
    expect(bytes.encode('ä')).toEqual(Buffer.from([0xc3, 0xa4]));
  });

  it('a schema is asked both ways, and says all that is wrong', () => {
    const codec = typed(nodeSchema);
    expect(codec.decode(Buffer.from(codec.encode({ addr: 'a' })))).toEqual({
      addr: 'a',
      weight: 1,
    });
    expect(() => codec.decode(Buffer.from('{"weight":"x"}'))).toThrow(
      'addr: no address; weight: not a number',
    );
  });

  it('a schema that is asynchronous is refused', () => {
    const schema: StandardSchema<string> = {
      '~standard': { version: 1, vendor: 'test', validate: async () => ({ value: '' }) },
    };
    expect(() => typed(schema).encode('')).toThrow(/asynchronous/);
  });
});

describe('keys', () => {
  it('go over as UTF-8 and come back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (key) => {
        expect(Buffer.from(keyString(key), 'latin1')).toEqual(Buffer.from(key, 'utf8'));
        expect(keyText(keyString(key))).toBe(key);
      }),
    );
  });

  it('a prefix covers exactly the keys that begin with it', () => {
    const key = fc.uint8Array({ maxLength: 4 }).map((raw) => keyString(raw));
    fc.assert(
      fc.property(key, key, (prefix, other) => {
        fc.pre(prefix !== '' && other !== '');
        const end = prefixEnd(prefix);
        const inside = other >= prefix && (end === '\0' || other < end);
        expect(inside).toBe(other.startsWith(prefix));
      }),
    );
  });

  it('a range that ends before all keys has none, and not all', () => {
    expect(spanOf('', { from: 'a', to: '\0' })).toEqual(spanOf('\0', { from: 'a', to: '' }));
    const { key, rangeEnd } = spanOf('', { from: 'a', to: '' });
    expect(rangeEnd <= key && rangeEnd.length > 1).toBe(true);
  });

  it('ranges stay inside the namespace', () => {
    // Bytes that mean something in ranges come often.
    const byte = fc.oneof(fc.constantFrom(0, 1, 0xff), fc.nat(0xff));
    const key = fc.array(byte, { maxLength: 3 }).map((raw) => Uint8Array.from(raw));
    const range = fc.oneof(
      key.map((prefix) => ({ prefix })),
      key.map((from) => ({ from })),
      fc.record({ from: key, to: key }),
      fc.constant({ all: true } as const),
    );
    fc.assert(
      fc.property(fc.array(byte, { minLength: 1, maxLength: 2 }), range, (raw, given) => {
        const prefix = keyString(Uint8Array.from(raw));
        const span = spanOf(prefix, given);
        expect(span.key.startsWith(prefix)).toBe(true);
        const end = prefixEnd(prefix);
        if (end !== '\0') expect(span.rangeEnd !== '\0' && span.rangeEnd <= end).toBe(true);
      }),
    );
  });
});

describeTargets('typed values', {}, (target) => {
  it('are checked when written and when read', async () => {
    const raw = target.client().kv.namespace(target.prefix());
    const nodes = raw.typed(nodeSchema);
    await nodes.put('n1', { addr: '10.0.0.1:80' });
    expect((await nodes.get('n1'))?.value).toEqual({ addr: '10.0.0.1:80', weight: 1 });
    const wrong: unknown = { weight: 2 };
    await expect(nodes.put('n2', wrong as Node)).rejects.toMatchObject({
      reason: 'ENCODE_FAILED',
      outcome: 'failed',
    });
    await raw.put('n3', '{"weight":"heavy"}');
    await expect(nodes.get('n3')).rejects.toMatchObject({ reason: 'DECODE_FAILED' });
    await expect(nodes.range({ all: true })).rejects.toThrow(/n3/);
  });
});
