/** mvccpb.KeyValue: a key with its value and its history numbers, stored and sent. */

import { emptyBytes } from '../../common/index.js';
import type { KeyValue } from './message-types.js';
import type { Mutable } from './mutable.js';
import { WireReader } from './wire-reader.js';
import { startMessage } from './wire-writer.js';

/** An mvccpb.KeyValue; its value is borrowed from `bytes`. */
export function decodeKeyValue(bytes: Buffer): KeyValue {
  const kv = emptyKeyValue();
  keyValueFields(new WireReader(bytes), kv);
  return kv;
}

/** Reads a KeyValue submessage into `into`, or into a new one. */
export function mergeKeyValue(r: WireReader, into: KeyValue | undefined): KeyValue {
  const kv = into ?? emptyKeyValue();
  const outer = r.enter();
  keyValueFields(r, kv);
  r.leave(outer);
  return kv;
}

/** An encoded mvccpb.KeyValue, fields ascending and zeros left out as in Go. */
export function encodeKeyValue(kv: KeyValue): Buffer {
  const w = startMessage();
  w.optionalId(6, kv.lease);
  w.optionalBytes(5, kv.value);
  w.optionalInt(4, kv.version);
  w.optionalInt(3, kv.modRevision);
  w.optionalInt(2, kv.createRevision);
  w.optionalKey(1, kv.key);
  return w.take();
}

function emptyKeyValue(): KeyValue {
  return {
    key: '',
    createRevision: 0,
    modRevision: 0,
    version: 0,
    value: emptyBytes,
    lease: 0n,
  };
}

function keyValueFields(r: WireReader, kv: Mutable<KeyValue>): void {
  while (r.more()) {
    const tag = r.tag();
    switch (tag) {
      case 0x0a:
        kv.key = r.key();
        break;
      case 0x10:
        kv.createRevision = r.int64();
        break;
      case 0x18:
        kv.modRevision = r.int64();
        break;
      case 0x20:
        kv.version = r.int64();
        break;
      case 0x2a:
        kv.value = r.value();
        break;
      case 0x30:
        kv.lease = r.signedId();
        break;
      default:
        r.skip(tag);
    }
  }
}
