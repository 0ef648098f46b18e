/** mvccpb.KeyValue through the generated code. */

import { mvccpb } from '../generated/etcd.js';
import { bytes, int64, key, message, signedId } from './codec.js';

/** The hand-written one is decodeKeyValue. */
export const keyValue = message(mvccpb.KeyValue, {
  key: key('key'),
  createRevision: int64('create_revision'),
  modRevision: int64('mod_revision'),
  version: int64('version'),
  value: bytes('value'),
  lease: signedId('lease'),
});
