/** Turns the result of a transaction, its deferred reads done, into what the encoder takes. */

import { present } from '../../common/index.js';
import type { ResponseOpResult } from '../../proto/index.js';
import type { OpResult } from './results.js';

export function opReply(result: OpResult): ResponseOpResult {
  switch (result.type) {
    case 'put':
      return {
        type: 'put',
        revision: result.revision,
        prevKv: result.previous?.result?.kvs[0],
      };
    case 'deleteRange':
      return {
        type: 'deleteRange',
        revision: result.revision,
        deleted: result.deleted,
        prevKvs: result.previous?.result?.kvs ?? [],
      };
    case 'range': {
      const found = present(result.range.result, 'the result of a range in a txn');
      const { kvs, more, count } = found;
      return { type: 'range', revision: result.revision, kvs, more, count };
    }
    case 'txn':
      return {
        type: 'txn',
        succeeded: result.succeeded,
        responses: result.responses.map(opReply),
      };
  }
}
