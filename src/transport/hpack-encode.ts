/**
 * HPACK encoding (RFC 7541). Lists that are sent again and again (the head and the trailers of a
 * good reply, the head of a client's request) are {@link HeaderTemplate}s: after the first time
 * all their fields are in the dynamic table, and the finished bytes are kept as long as the table
 * has not changed.
 */

import { type HeaderField, staticTable } from './header-field.js';
import { HeaderTable } from './header-table.js';
import { huffmanEncode, huffmanLength } from './huffman.js';
import { headerTableBytes } from './limits.js';

/** A list of fields with its encoded form on one connection. One per connection and list. */
export class HeaderTemplate {
  readonly fields: readonly HeaderField[];
  /** Valid while `version` is the encoder's. */
  bytes: Buffer;
  version: number;

  constructor(fields: readonly HeaderField[]) {
    this.fields = fields;
    this.bytes = Buffer.alloc(0);
    this.version = -1;
  }
}

/** Values that differ from call to call would only push useful entries out of the table. */
const neverIndexed: ReadonlySet<string> = new Set([
  'content-length',
  'grpc-timeout',
  'grpc-message',
  'grpc-status-details-bin',
  'date',
  'etag',
  'location',
]);

const anyValue = Symbol('any value');
/** name -> value -> index; the first index of the name is under `anyValue`. */
const staticIndex = new Map<string, Map<string | typeof anyValue, number>>();

for (const [i, field] of staticTable.entries()) {
  let values = staticIndex.get(field.name);
  if (values === undefined) {
    values = new Map([[anyValue, i + 1]]);
    staticIndex.set(field.name, values);
  }
  values.set(field.value, i + 1);
}

/** The encoding half of a connection's HPACK state; blocks must leave in the order encoded. */
export class HpackEncoder {
  /** The dynamic table; for reading. */
  readonly table = new HeaderTable(headerTableBytes);
  #out = Buffer.allocUnsafe(512);
  #length = 0;
  // Size updates owed to the decoder (section 4.2): the smallest since the last block, the last.
  #owedMin = -1;
  #owedLast = -1;
  /** Changes whenever finished bytes of an earlier block may no longer be sent again. */
  version = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE; we use no more than the default. */
  limitTable(bytes: number): void {
    const size = Math.min(bytes, headerTableBytes);
    if (size === this.table.sizeMax && this.#owedLast < 0) return;
    this.#owedMin = this.#owedMin < 0 ? size : Math.min(this.#owedMin, size);
    this.#owedLast = size;
    this.table.resize(size);
    this.version++;
  }

  /** Encodes a block; the result is only valid until the next call. */
  encode(fields: readonly HeaderField[]): Buffer {
    this.#length = 0;
    if (this.#owedLast >= 0) this.#sizeUpdates();
    for (const field of fields) this.#field(field);
    return this.#out.subarray(0, this.#length);
  }

  /** As `encode`, from the template's bytes if the table is still as they need it. */
  encodeTemplate(template: HeaderTemplate): Buffer {
    if (template.version === this.version) return template.bytes;
    const before = this.version;
    const owed = this.#owedLast >= 0;
    const bytes = this.encode(template.fields);
    if (owed || before !== this.version) return bytes;
    template.bytes = Buffer.from(bytes);
    template.version = this.version;
    return template.bytes;
  }

  #sizeUpdates(): void {
    this.#room(12);
    if (this.#owedMin < this.#owedLast) this.#integer(0x20, 5, this.#owedMin);
    this.#integer(0x20, 5, this.#owedLast);
    this.#owedMin = -1;
    this.#owedLast = -1;
  }

  #field(field: HeaderField): void {
    this.#room(field.size + 16);
    const known = staticIndex.get(field.name);
    const exact = known?.get(field.value) ?? this.#find(field);
    if (exact !== undefined) {
      this.#integer(0x80, 7, exact);
      return;
    }
    const table = this.table;
    // An entry that fills most of the table is not worth what it evicts.
    const index = !neverIndexed.has(field.name) && field.size * 2 <= table.sizeMax;
    const nameIndex = known?.get(anyValue) ?? this.#findName(field.name);
    this.#integer(index ? 0x40 : 0x00, index ? 6 : 4, nameIndex ?? 0);
    if (nameIndex === undefined) this.#string(field.name);
    this.#string(field.value);
    if (index) {
      table.insert(field);
      this.version++;
    }
  }

  #find(field: HeaderField): number | undefined {
    const table = this.table;
    for (let i = table.inserted - 1; i >= table.oldest; i--) {
      const entry = table.entry(i);
      if (entry === field) return table.wireIndex(i);
      if (entry?.name === field.name && entry.value === field.value) return table.wireIndex(i);
    }
    return undefined;
  }

  #findName(name: string): number | undefined {
    const table = this.table;
    for (let i = table.inserted - 1; i >= table.oldest; i--) {
      if (table.entry(i)?.name === name) return table.wireIndex(i);
    }
    return undefined;
  }

  #string(text: string): void {
    const huffman = huffmanLength(text);
    if (huffman < text.length) {
      this.#integer(0x80, 7, huffman);
      this.#length = huffmanEncode(text, this.#out, this.#length);
    } else {
      this.#integer(0x00, 7, text.length);
      this.#length += this.#out.write(text, this.#length, 'latin1');
    }
  }

  #integer(pattern: number, prefixBits: number, value: number): void {
    const mask = (1 << prefixBits) - 1;
    const out = this.#out;
    if (value < mask) {
      out[this.#length++] = pattern | value;
      return;
    }
    out[this.#length++] = pattern | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      out[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    out[this.#length++] = rest;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#out.length) return;
    const grown = Buffer.allocUnsafe((this.#length + bytes) * 2);
    this.#out.copy(grown, 0, 0, this.#length);
    this.#out = grown;
  }
}
