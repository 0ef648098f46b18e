/**
 * What stands in the KvStore and how its bytes look: the keys, the checksum behind each value, the
 * mark, and the encoded KeyValue. Start reading at keys.ts.
 */

export {
  decodeRecord,
  encodeRecord,
  type KeyValueFields,
  RecordReader,
  recordSize,
  recordValue,
  writeRecord,
  writeVarint,
} from './key-value.js';
export {
  describeKey,
  everythingEnd,
  formatKey,
  formatVersion,
  isRevisionKey,
  isTombstone,
  mainOf,
  markKey,
  markKeyOfFormat1,
  metaEnd,
  metaKey,
  metaName,
  metaStart,
  prefixRecord,
  recordsEnd,
  recordsStart,
  removalKey,
  revisionKey,
  revisionKeyBytes,
  subOf,
  writeRevisionKey,
} from './keys.js';
export {
  type AppliedMark,
  decodeMark,
  decodeRemoval,
  encodeMark,
  encodeRemoval,
  metaBytesOf,
  metaSumOf,
  type Removal,
  type StoreMark,
} from './mark.js';
export { checksumBytes, damage, recordOverheadBytes, seal, unseal, unsealOrThrow } from './seal.js';
