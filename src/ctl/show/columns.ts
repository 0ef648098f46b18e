/** Lines in columns: as wide as what is in them, numbers to the right, as many as there is room for. */

import { widthOf } from './paint.js';

/** One column of rows of `Row`. */
export interface Column<Row> {
  readonly title: string;
  /** '' for nothing. */
  readonly of: (row: Row) => string;
  readonly right?: boolean;
  /** Where there is no room the highest goes first; none never goes. */
  readonly spare?: number;
}

const gap = '  ';

/** The title and a line for each row, at most `width` wide if columns may go. */
export function inColumns<Row>(
  columns: ReadonlyArray<Column<Row>>,
  rows: readonly Row[],
  width: number,
): string[] {
  const cells = columns.map((column) => {
    const texts = [column.title, ...rows.map(column.of)];
    return { column, texts, width: Math.max(...texts.map(widthOf)) };
  });
  const left = [...cells];
  const total = (): number => left.reduce((sum, one) => sum + one.width + gap.length, -gap.length);
  while (total() > width) {
    const most = Math.max(...left.map(({ column }) => column.spare ?? 0));
    if (most === 0) break;
    left.splice(
      left.findIndex(({ column }) => column.spare === most),
      1,
    );
  }
  return Array.from({ length: rows.length + 1 }, (_, i) =>
    left
      .map((cell) => {
        const text = cell.texts[i] ?? '';
        const space = ' '.repeat(cell.width - widthOf(text));
        return cell.column.right === true ? space + text : text + space;
      })
      .join(gap)
      .trimEnd(),
  );
}
