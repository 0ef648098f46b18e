/** Rows for people at a terminal: in columns, without lines around them, as wide as there is room. */

import type { Paint } from '../print/index.js';
import { type Column, inColumns } from '../show/index.js';

type Row = readonly string[];

/**
 * The rows under their titles; where the terminal is too narrow, the columns of `spare` go, its
 * first ones first.
 */
export function forPeople(
  { header, rows }: { readonly header: Row; readonly rows: readonly Row[] },
  spare: readonly string[],
  width: number,
): (paint: Paint) => string {
  const columns = header.map((title, at): Column<Row> => {
    const isNumber = rows.length > 0 && rows.every((row) => /^\d/.test(row[at] ?? ''));
    const rank = spare.indexOf(title);
    return {
      title: title.toUpperCase(),
      of: (row) => row[at] ?? '',
      right: isNumber && !/addr|endpoint|^id$/i.test(title),
      ...(rank < 0 ? {} : { spare: spare.length - rank }),
    };
  });
  const [title = '', ...lines] = inColumns(columns, rows, width);
  return (paint) => `${[paint.bold(title), ...lines].join('\n')}\n`;
}
