/** docs/benchmarks.md, between whose markers the tables stand. */

import { readFileSync, writeFileSync } from 'node:fs';

/** From the root of the checkout, which is where npm runs things. */
const page = 'docs/benchmarks.md';

/** Throws if the page has no room for one of these; nobody wants to hear that an hour later. */
export function checkMarkers(ids: readonly string[]): void {
  for (const id of ids) withSection(readFileSync(page, 'utf8'), id, '');
}

/** Puts `section` between the markers of `id`. */
export function writeSection(id: string, section: string): void {
  writeFileSync(page, withSection(readFileSync(page, 'utf8'), id, section));
}

/** The text with that section in the place of the one before. Throws if there are no markers. */
export function withSection(text: string, id: string, section: string): string {
  const [begin, end] = [`<!-- bench:${id} -->`, `<!-- /bench:${id} -->`];
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`docs/benchmarks.md has no "${begin}" with its end`);
  return `${text.slice(0, from + begin.length)}\n${section}\n${text.slice(to)}`;
}
