/**
 * The JSON codecs against protobufjs reflecting on the same .proto files: any message of any type
 * that the gateway carries, and texts of all forms.
 */

import fc from 'fast-check';
import type protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { runSteps, Slice } from '../../src/common/index.js';
import {
  JsonError,
  type JsonMessage,
  JsonScanner,
  jsonMessage,
  jsonRpcs,
  readJson,
  writeJson,
} from '../../src/proto/index.js';
import { nodeClock } from '../../src/server/platform/clock-node.js';
import { reference } from './reference.js';

const types = [...new Set(jsonRpcs().flatMap(({ request, response }) => [request, response]))];

function written(bytes: Uint8Array, message: JsonMessage): string {
  return [...writeJson(Buffer.from(bytes), message)].join('');
}

async function read(text: string | Buffer, message: JsonMessage): Promise<Buffer> {
  const source = Buffer.from(text as string);
  const scanner = new JsonScanner();
  const end = scanner.scan(source, 0, source.length);
  if (end < 0 && !scanner.isWholeAtEnd) throw new JsonError('unexpected EOF');
  const value = end < 0 ? source : source.subarray(0, end);
  return runSteps(readJson(value, message, new Slice(nodeClock)));
}

/** Plain data of a message, as protobufjs takes it; `depth` more messages may be inside. */
function dataOf(message: JsonMessage, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const chosen: Record<string, fc.Arbitrary<unknown>> = {};
  const oneofs = new Set<string>();
  for (const field of message.fields) {
    if (field.message !== undefined && depth === 0) continue;
    // Lists of numbers are in requests only: see below.
    if (field.repeated && field.kind === 'enum') continue;
    if (field.oneof !== '' && oneofs.has(field.oneof)) continue;
    oneofs.add(field.oneof);
    const one = fieldValue(field, depth);
    chosen[field.name] = field.repeated ? fc.array(one, { maxLength: 4 }) : one;
  }
  return fc.record(chosen, { requiredKeys: [] });
}

function fieldValue(field: JsonMessage['fields'][number], depth: number): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case 'bool':
      return fc.boolean();
    case 'bytes':
      return fc.uint8Array({ maxLength: 20 });
    case 'string':
      return fc.string({ unit: 'grapheme', maxLength: 12 });
    case 'enum':
      return fc.constantFrom(...Object.values(field.numbers), 77);
    case 'int32':
      return fc.integer();
    case 'uint32':
      return fc.nat();
    case 'int64':
      return fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String);
    case 'uint64':
      return fc.bigInt(0n, 2n ** 64n - 1n).map(String);
    case 'message':
      return dataOf(field.message as JsonMessage, depth - 1);
  }
}

function encoded(message: JsonMessage, data: Record<string, unknown>): Uint8Array {
  const type = reference(message.name);
  return type.encode(type.fromObject(data)).finish();
}

/** The message again, as data without zero values, integers as strings. */
function decoded(message: JsonMessage, bytes: Uint8Array): unknown {
  const type = reference(message.name);
  const plain = { longs: String, bytes: String, enums: Number };
  return type.toObject(type.decode(bytes), plain as protobuf.IConversionOptions);
}

describe('messages as JSON', () => {
  it('knows every message that a method takes or answers', () => {
    expect(types.length).toBeGreaterThan(70);
    for (const type of types) expect(jsonMessage(type.name)).toBe(type);
  });

  it('answers have no packed lists, which the writer does not read', () => {
    const seen = new Set<JsonMessage>();
    const visit = (message: JsonMessage): void => {
      if (seen.has(message)) return;
      seen.add(message);
      for (const field of message.fields) {
        if (field.message !== undefined) visit(field.message);
        else if (field.repeated) expect(['string', 'bytes']).toContain(field.kind);
      }
    };
    for (const { response } of jsonRpcs()) visit(response);
  });

  it.each(types.map((type) => [type.name, type] as const))('%s there and back', async (_, type) => {
    await fc.assert(
      fc.asyncProperty(dataOf(type, 3), async (data) => {
        const bytes = encoded(type, data);
        const text = written(bytes, type);
        JSON.parse(text);
        expect(decoded(type, await read(text, type))).toEqual(decoded(type, bytes));
        // The other style of names, and spaces wherever they may be.
        const camel = camelCased(JSON.parse(text), type);
        const spaced = JSON.stringify(camel, undefined, 2);
        expect(await read(spaced, type)).toEqual(await read(text, type));
      }),
      { numRuns: 25 },
    );
  });

  it('reads lists of numbers as packed ones', async () => {
    const type = jsonMessage('etcdserverpb.WatchRequest');
    const text = '{"create_request":{"filters":["NODELETE",0,"NONSENSE",1],"watch_id":"3"}}';
    expect(decoded(type, await read(text, type))).toEqual({
      create_request: { filters: [1, 0, 1], watch_id: '3' },
    });
    const empty = await read('{"create_request":{"filters":[],"watch_id":"3"}}', type);
    expect(empty).toEqual(Buffer.from(encoded(type, { create_request: { watch_id: 3 } })));
  });

  it('writes fields in the order of the file, whatever the order of the bytes', () => {
    const type = jsonMessage('etcdserverpb.RangeResponse');
    const first = encoded(type, { kvs: [{ key: Buffer.from('a') }] });
    const second = encoded(type, { header: { revision: 5 }, kvs: [{ key: Buffer.from('b') }] });
    const text = written(Buffer.concat([first, second]), type);
    expect(text).toBe('{"header":{"revision":"5"},"kvs":[{"key":"YQ=="},{"key":"Yg=="}]}');
  });

  it('comes in pieces, which a long value does not hold up', () => {
    const type = jsonMessage('mvccpb.KeyValue');
    const value = Buffer.alloc(1_000_000, 'v');
    const pieces = [...writeJson(Buffer.from(encoded(type, { value })), type)];
    expect(pieces.length).toBeGreaterThan(8);
    expect(pieces.join('')).toBe(`{"value":"${value.toString('base64')}"}`);
    for (const piece of pieces) expect(piece.length).toBeLessThan(300_000);
  });

  it('escapes as encoding/json does where that is asked for', () => {
    const type = jsonMessage('etcdserverpb.WatchResponse');
    const bytes = Buffer.from(encoded(type, { cancel_reason: '<a>&"\u2028\u0001é' }));
    const escaped = [...writeJson(bytes, type, { escapeHtml: true })].join('');
    expect(escaped).toBe('{"cancel_reason":"\\u003ca\\u003e\\u0026\\"\\u2028\\u0001é"}');
  });

  it('throws for bytes that are no message', () => {
    const type = jsonMessage('etcdserverpb.RangeResponse');
    for (const hex of ['0a', '0a05', '0b', 'ffffffffffffffffffffff', '12050a']) {
      expect(() => written(Buffer.from(hex, 'hex'), type)).toThrow();
    }
  });
});

function camelCased(value: unknown, message: JsonMessage | undefined): unknown {
  if (Array.isArray(value)) return value.map((each) => camelCased(each, message));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      const field = message?.byName.get(name);
      return [field?.jsonName ?? name, camelCased(inner, field?.message)];
    }),
  );
}

describe('JSON that is read', () => {
  const range = jsonMessage('etcdserverpb.RangeRequest');
  const member = jsonMessage('etcdserverpb.MemberAddRequest');

  /** Strings with any escapes, and what JSON.parse makes of them. */
  const text = fc
    .array(
      fc.oneof(
        fc.string({ unit: 'grapheme' }).map((plain) => JSON.stringify(plain).slice(1, -1)),
        fc.constantFrom('\\/', '\\u00e9', '\\ud83d\\ude00', '\\n', '\\"', '\\\\', '\\u0000'),
      ),
      { maxLength: 20 },
    )
    .map((parts) => parts.join(''));

  it('takes strings as JSON.parse does', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (escaped) => {
        const bytes = await read(`{"peerURLs":["${escaped}"]}`, member);
        const { peerURLs = [] } = decoded(member, bytes) as { peerURLs?: string[] };
        expect(peerURLs).toEqual([JSON.parse(`"${escaped}"`)]);
      }),
    );
  });

  it('takes long strings with escapes over several turns', async () => {
    const escaped = '\\u00e9\\n'.repeat(60_000);
    const bytes = await read(`{"peerURLs":["${escaped}"]}`, member);
    expect(decoded(member, bytes)).toEqual({ peerURLs: ['é\n'.repeat(60_000)] });
  });

  it('is accepted exactly where JSON.parse accepts it', async () => {
    const token = fc.constantFrom(
      ...['{', '}', '[', ']', ',', ':', ' ', '\n', '"a"', '"', '\\', '1', '-', '0', '.', 'e', '+'],
      ...['true', 'false', 'null', 'nul', '\u0001', '\u00e9'],
    );
    await fc.assert(
      fc.asyncProperty(fc.array(token, { maxLength: 12 }), async (tokens) => {
        const value = `[${tokens.join('')}]`;
        const scanner = new JsonScanner();
        const source = Buffer.from(value);
        let end = -1;
        try {
          end = scanner.scan(source, 0, source.length);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError);
        }
        let isJson = true;
        try {
          JSON.parse(end < 0 ? value : source.toString('utf8', 0, end));
        } catch {
          isJson = false;
        }
        expect(end >= 0).toBe(isJson);
      }),
      { numRuns: 2000 },
    );
  });

  it('finds the end of a value wherever the pieces are cut', () => {
    const value = Buffer.from(' {"a":[1.5e-3,"\\u00e9\\"}",{"b":null}],"c":-0}');
    const source = Buffer.concat([value, Buffer.from('  {"next":1}')]);
    for (let cut = 0; cut <= source.length; cut++) {
      const scanner = new JsonScanner();
      let end = scanner.scan(source, 0, cut);
      if (end < 0) end = scanner.scan(source, cut, source.length);
      expect(end).toBe(value.length);
    }
  });

  it.each(['12', '"x"', 'true', 'null', '-1.5e3'])('%s ends with what follows it', (value) => {
    const scanner = new JsonScanner();
    const source = Buffer.from(`${value} `);
    expect(scanner.scan(source, 0, value.length)).toBe(-1);
    expect(scanner.isWholeAtEnd).toBe(true);
    expect(scanner.scan(source, value.length, source.length)).toBe(value.length);
  });

  it('takes base64 of any form, and no other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (bytes) => {
        const value = Buffer.from(bytes);
        const standard = value.toString('base64');
        const forms = [standard, standard.replace(/=+$/, ''), value.toString('base64url')];
        for (const form of forms) {
          const { key } = decodedKey(range, await read(`{"key":"${form}"}`, range));
          expect(key).toEqual(value);
        }
      }),
    );
    const wrong = [
      'A',
      'AAAAA',
      'AA=',
      'AA===',
      '=AAA',
      'A=AA',
      '+_AA',
      'AA A',
      'AA\u00e9A',
      '====',
      '*',
    ];
    for (const form of wrong) {
      await expect(read(`{"key":"${form}"}`, range)).rejects.toThrow(
        'invalid value for bytes field',
      );
    }
  });

  it('knows bytes that span the pieces in which base64 is decoded', async () => {
    const value = Buffer.alloc(700_001, 'xyz');
    const bytes = await read(`{"key":"${value.toString('base64')}"}`, range);
    expect(decodedKey(range, bytes).key).toEqual(value);
    const damaged = `${value.toString('base64').slice(0, -8)}!AAAAAA=`;
    await expect(read(`{"key":"${damaged}"}`, range)).rejects.toThrow('invalid value for bytes');
  });

  it('has its bound of depth, and shows a long value in part', async () => {
    const deep = (depth: number): string => `{"x":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    await expect(read(deep(9_999), range)).resolves.toHaveLength(0);
    await expect(read(deep(10_000), range)).rejects.toThrow("'[' exceeded max depth");
    const wrong = await read(`{"key":"${'*'.repeat(100_000)}"}`, range).catch(String);
    expect(String(wrong).length).toBeLessThan(1_200);
  });
});

function decodedKey(message: JsonMessage, bytes: Uint8Array): { readonly key: Buffer } {
  const type = reference(message.name);
  const { key } = type.toObject(type.decode(bytes)) as { key?: Uint8Array };
  return { key: Buffer.from(key ?? []) };
}
