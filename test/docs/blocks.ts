/**
 * What becomes of the blocks of a page. What is not said otherwise runs:
 *
 * - `sh`: by bash, in the order of the page; exit status 0 is wanted
 * - `sh serve`: as well, but it goes on: a server, or a client that waits
 * - `sh no-run: why` and `ts no-run: why`: does not run
 * - `ts`: a whole program, compiled as strictly as our own code, and run to its end
 * - `text output`: what the block before it prints
 */

import type { Block } from './markdown.js';
import { blocksOf, pages } from './markdown.js';

/** Languages of what is only shown. */
const shown = new Set(['text', 'json', 'yaml', 'ini', 'js', 'ts', 'sh']);

/** Pages that need no marks, and why. */
const unmarked: ReadonlyArray<readonly [RegExp, string]> = [
  [/^docs\/adr\//, 'tells of what was done on a day'],
  [/^docs\/api\//, 'is written by `npm run api`'],
  [/^docs\/benchmarks\.md$/, 'is written by `npm run bench`, which takes hours'],
];

/** The pages whose blocks have to run or say why not. */
export const markedPages = pages.filter(
  (page) => !unmarked.some(([pattern]) => pattern.test(page)),
);

/** Why a block does not run; undefined if it does. */
export function whyNot({ info }: Block): string | undefined {
  return /^no-run: (\S.*)$/.exec(info)?.[1];
}

/** What is wrong with the marks of a block; undefined if nothing is. */
export function wrongMark({ language, info, page, line }: Block): string | undefined {
  const where = `${page}:${line}`;
  if (!shown.has(language)) return `${where} has language '${language}', not one of ${[...shown]}`;
  const isKnown =
    info === '' ||
    (/^no-run: \S.{4,}/.test(info) && ['sh', 'ts'].includes(language)) ||
    (info === 'serve' && language === 'sh') ||
    (info === 'output' && language === 'text');
  return isKnown ? undefined : `${where} has a mark that nobody knows: ${info}`;
}

/** The blocks of a page that run, each with what it is to print, if the page says that. */
export function runningBlocks(page: string, language: string): Array<Block & { output?: string }> {
  const blocks = blocksOf(page);
  return blocks.flatMap((block, i) => {
    if (block.language !== language || whyNot(block) !== undefined) return [];
    const next = blocks[i + 1];
    return next?.info === 'output' ? [{ ...block, output: next.text }] : [block];
  });
}
