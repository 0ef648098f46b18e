/** HPACK against RFC 7541: the vectors of appendix C, errors, and round trips. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConnectionError } from '../../src/transport/frames.js';
import { HeaderField } from '../../src/transport/header-field.js';
import { HpackDecoder } from '../../src/transport/hpack-decode.js';
import { HeaderTemplate, HpackEncoder } from '../../src/transport/hpack-encode.js';
import { huffmanDecode, huffmanEncode, huffmanLength } from '../../src/transport/huffman.js';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

function decode(decoder: HpackDecoder, bytes: Buffer): string[] {
  const block = decoder.decode(bytes, 0, bytes.length);
  return block.fields.map(({ name, value }) => `${name}: ${value}`);
}

const table = (decoder: HpackDecoder): string[] => {
  const entries: string[] = [];
  for (let i = 0; i < decoder.table.count; i++) {
    const field = decoder.table.at(62 + i);
    entries.push(`${field?.name}: ${field?.value}`);
  }
  return entries;
};

const first = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];
const second = [...first, 'cache-control: no-cache'];
const third = [
  ':method: GET',
  ':scheme: https',
  ':path: /index.html',
  ':authority: www.example.com',
  'custom-key: custom-value',
];
const date1 = 'date: Mon, 21 Oct 2013 20:13:21 GMT';
const date2 = 'date: Mon, 21 Oct 2013 20:13:22 GMT';
const location = 'location: https://www.example.com';
const cookie = 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
const responses: readonly string[][] = [
  [':status: 302', 'cache-control: private', date1, location],
  [':status: 307', 'cache-control: private', date1, location],
  [':status: 200', 'cache-control: private', date2, location, 'content-encoding: gzip', cookie],
];

describe('RFC 7541 appendix C', () => {
  test.each([
    [
      'C.2.1',
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      'custom-key: custom-header',
      55,
    ],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', ':path: /sample/path', 0],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', 'password: secret', 0],
    ['C.2.4', '82', ':method: GET', 0],
  ])('%s', (_name, bytes, field, tableBytes) => {
    const decoder = new HpackDecoder(1 << 20);
    expect(decode(decoder, hex(bytes))).toEqual([field]);
    expect(decoder.table.bytes).toBe(tableBytes);
  });

  test.each([
    [
      'C.3, without Huffman',
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
    [
      'C.4, with Huffman',
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
  ])('%s', (_name, one, two, three) => {
    const decoder = new HpackDecoder(1 << 20);
    expect(decode(decoder, hex(one))).toEqual(first);
    expect(decoder.table.bytes).toBe(57);
    expect(decode(decoder, hex(two))).toEqual(second);
    expect(decoder.table.bytes).toBe(110);
    expect(decode(decoder, hex(three))).toEqual(third);
    expect(decoder.table.bytes).toBe(164);
    expect(table(decoder)).toEqual([
      'custom-key: custom-value',
      'cache-control: no-cache',
      ':authority: www.example.com',
    ]);
  });

  test.each([
    [
      'C.5, evictions, without Huffman',
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a
       3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04
       677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49
       553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
    ],
    [
      'C.6, evictions, with Huffman',
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
       919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
       821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
       4ee5 b106 3d50 07`,
    ],
  ])('%s', (_name, ...blocks) => {
    const decoder = new HpackDecoder(1 << 20);
    const smallTable = hex('3fe101'); // a size update to 256, as the appendix assumes
    expect(decode(decoder, Buffer.concat([smallTable, hex(blocks[0] ?? '')]))).toEqual(
      responses[0],
    );
    expect(decoder.table.bytes).toBe(222);
    expect(decode(decoder, hex(blocks[1] ?? ''))).toEqual(responses[1]);
    expect(table(decoder)[0]).toBe(':status: 307');
    expect(decoder.table.bytes).toBe(222);
    expect(decode(decoder, hex(blocks[2] ?? ''))).toEqual(responses[2]);
    expect(table(decoder)).toEqual([cookie, 'content-encoding: gzip', date2]);
    expect(decoder.table.bytes).toBe(215);
  });

  test('C.1.2: an integer longer than its prefix', () => {
    const decoder = new HpackDecoder(1 << 20);
    decode(decoder, hex('3f9a0a')); // 1337 with a five-bit prefix
    expect(decoder.table.sizeMax).toBe(1337);
  });
});

describe('decoding errors', () => {
  test.each([
    ['index 0', '80'],
    ['an index above both tables', 'be'],
    ['a name index above both tables', '7f80'],
    ['a table size above the limit', '3fe21f'],
    ['a size update behind a field', '8220'],
    ['an integer without end', '7fffffffffffffffffff'],
    ['an integer that does not fit', 'ffffffffff0f'],
    ['a truncated integer', 'ff'],
    ['a string longer than the block', '400a6375'],
    ['a missing value', '4003616263'],
    ['Huffman padding of 8 bits', '008461ffffff00'],
    ['Huffman padding with zeros', '0081180161'],
    ['the end-of-string symbol', '0084fffffffc0161'],
  ])('%s', (_name, bytes) => {
    const decoder = new HpackDecoder(1 << 20);
    expect(() => decode(decoder, hex(bytes))).toThrow(ConnectionError);
  });

  test('any bytes decode or throw ConnectionError, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HpackDecoder(1 << 14);
        try {
          for (const block of blocks) decode(decoder, Buffer.from(block));
        } catch (error) {
          if (!(error instanceof ConnectionError)) throw error;
        }
        expect(decoder.table.bytes).toBeLessThanOrEqual(4_096);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a list above its limit is cut, and the table stays right', () => {
    const fields = Array.from({ length: 10 }, (_, i) => new HeaderField(`name-${i}`, 'value'));
    const bytes = Buffer.from(new HpackEncoder().encode(fields));
    const other = new HpackDecoder(200);
    expect(other.decode(bytes, 0, bytes.length).tooLong).toBe(true);
    expect(other.table.count).toBe(10);
  });
});

describe('round trips', () => {
  const token = fc.stringMatching(/^[a-z0-9-]{1,30}$/);
  const value = fc.oneof(fc.constantFrom('', 'a', 'gzip'), fc.stringMatching(/^[ -~]{0,60}$/));
  const list = fc.array(fc.tuple(token, value), { maxLength: 12 });

  test('what one side encodes the other decodes, through evictions and size changes', () => {
    const step = fc.record({
      list,
      size: fc.option(fc.integer({ min: 0, max: 5_000 }), { freq: 4 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(1 << 20);
        for (const { list, size } of steps) {
          if (size !== null) encoder.limitTable(size);
          const fields = list.map(([name, text]) => new HeaderField(name, text));
          const bytes = Buffer.from(encoder.encode(fields));
          expect(decode(decoder, bytes)).toEqual(list.map(([n, v]) => `${n}: ${v}`));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a template stays right whatever else is encoded in between', () => {
    fc.assert(
      fc.property(fc.array(list, { maxLength: 30 }), (others) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(1 << 20);
        const template = new HeaderTemplate([
          new HeaderField(':status', '200'),
          new HeaderField('content-type', 'application/grpc'),
        ]);
        for (const other of [[], [], ...others]) {
          const bytes = Buffer.from(encoder.encodeTemplate(template));
          expect(decode(decoder, bytes)).toEqual([
            ':status: 200',
            'content-type: application/grpc',
          ]);
          const fields = other.map(([name, text]) => new HeaderField(name, text));
          const noise = Buffer.from(encoder.encode(fields));
          expect(decode(decoder, noise)).toEqual(other.map(([n, v]) => `${n}: ${v}`));
          expect(decoder.table.inserted).toBe(encoder.table.inserted);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('Huffman coding of any latin1 text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        const coded = Buffer.alloc(huffmanLength(text));
        expect(huffmanEncode(text, coded, 0)).toBe(coded.length);
        const out = Buffer.alloc(coded.length * 2);
        const length = huffmanDecode(coded, 0, coded.length, out);
        expect(out.toString('latin1', 0, length)).toBe(text);
      }),
    );
  });

  test('a repeated block is served from the cache and means the same', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(1 << 20);
    const fields = [new HeaderField(':method', 'POST'), new HeaderField('x', 'y')];
    const warm = Buffer.from(encoder.encode(fields));
    decode(decoder, warm);
    const again = Buffer.from(encoder.encode(fields));
    const one = decoder.decode(again, 0, again.length);
    expect(decoder.decode(again, 0, again.length)).toBe(one);
    // Something new in the table: the same bytes now mean another field.
    decode(decoder, Buffer.from(encoder.encode([new HeaderField('new', 'entry')])));
    expect(decode(decoder, again)).toEqual([':method: POST', 'new: entry']);
  });
});
