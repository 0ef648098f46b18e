/** Answers of several members, which are no message: lines, rows, a list in JSON. */

import { emptyBytes } from '../../common/index.js';
import { type Shown, type Table, unsupported } from '../print/index.js';

interface List extends Table {
  /** Empty is null, as Go has it. */
  readonly json: readonly unknown[];
  fields(): string;
}

/** Shows them as etcdctl does. */
export function listShown({ header, rows, json, fields }: List): Shown {
  return {
    type: '',
    bytes: emptyBytes,
    simple: () => rows.map((row) => `${row.join(', ')}\n`).join(''),
    table: () => ({ header, rows }),
    json: () => (json.length === 0 ? null : json),
    fields,
    protobuf: () => {
      throw unsupported('protobuf');
    },
  };
}
