/** Keys, ranges, values and entries, and reading them. */

export { type Codecs, codecs } from './group.js';
export { fullKey, keyString, keyText, prefixEnd, rangeOf, type Span, spanOf } from './key-span.js';
export { rangeShape, readShape, scanShape } from './option-shapes.js';
export {
  countRequest,
  rangeRequest,
  rangeResult,
  revisionOption,
  type View,
} from './range-request.js';
export { scanPages, scanRaw, streamChunks } from './scan.js';
export type {
  Bytes,
  Codec,
  EntryOf,
  Key,
  KeyInfo,
  KeyRange,
  KeyValue,
  RangeOptions,
  RangeResult,
  ReadOptions,
  ScanOptions,
  SchemaIssue,
  SchemaResult,
  Sort,
  StandardSchema,
} from './types.js';
export { bytes, decodeWith, encodeWith, json, text, typed, validated } from './value-codec.js';
export { entryOf } from './wire-entry.js';
