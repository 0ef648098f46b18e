/** `--write-out=table`: lines around cells, headers in capitals in the middle, cells to the right. */

import type { Table } from './shown.js';

/** The text of a table, as etcdctl draws it. */
export function tableText({ header, rows }: Table): string {
  const titles = header.map((title) => title.toUpperCase().replaceAll('_', ' '));
  const widths = titles.map((title, column) => {
    return Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(widthOf));
  });
  const line = (left: string, between: string, right: string): string =>
    `${left}${widths.map((width) => '─'.repeat(width + 2)).join(between)}${right}\n`;
  const cells = (row: readonly string[], place: (text: string, width: number) => string) =>
    `│${widths.map((width, column) => ` ${place(row[column] ?? '', width)} `).join('│')}│\n`;
  return [
    line('┌', '┬', '┐'),
    cells(titles, centred),
    rows.length === 0 ? '' : line('├', '┼', '┤'),
    ...rows.map((row) => cells(row, toTheRight)),
    line('└', '┴', '┘'),
  ].join('');
}

function widthOf(text: string): number {
  return [...text].length;
}

function centred(text: string, width: number): string {
  const missing = width - widthOf(text);
  const before = Math.floor(missing / 2);
  return `${' '.repeat(before)}${text}${' '.repeat(missing - before)}`;
}

function toTheRight(text: string, width: number): string {
  return `${' '.repeat(width - widthOf(text))}${text}`;
}
