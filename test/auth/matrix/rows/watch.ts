/** Rows of the Watch service. What is refused is a watch of a stream, not the stream. */

import { bytes, prefixEnd } from '../../../helpers/grpc.js';
import type { WatchResponse } from '../../../helpers/grpc-types.js';
import type { Outcome } from '../outcome.js';
import { duplex, type Row } from '../row.js';

const zero = Buffer.from([0]);

function judge({ canceled, cancel_reason }: WatchResponse): Outcome {
  return canceled ? `canceled: ${cancel_reason}` : 'ok';
}

const create = (form: string, request: object): Row =>
  duplex('etcdserverpb.Watch/Watch', form, { create_request: request }, judge);

export const watchRows: readonly Row[] = [
  create('`m/a`', { key: bytes('m/a') }),
  create('`m/x`', { key: bytes('m/x') }),
  create('`n/a`', { key: bytes('n/a') }),
  create('`m/a` to `m/b`', { key: bytes('m/a'), range_end: bytes('m/b') }),
  create('`m/a` to `m/d`', { key: bytes('m/a'), range_end: bytes('m/d') }),
  create('prefix `m/`', { key: bytes('m/'), range_end: prefixEnd('m/') }),
  create('from `m/a` on (range_end `\\0`)', { key: bytes('m/a'), range_end: zero }),
  create('all keys', { key: zero, range_end: zero }),
  create('all keys (no key, range_end `\\0`)', { range_end: zero }),
  create('no key', {}),
  create('`m/a` with prev_kv, from revision 2 on', {
    key: bytes('m/a'),
    prev_kv: true,
    start_revision: 2,
  }),
];
