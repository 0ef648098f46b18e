/** Every block of a page says what it is, and whether it runs; see blocks.ts. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repoRoot } from '../helpers/tools.js';
import { markedPages, runningBlocks, whyNot, wrongMark } from './blocks.js';
import { type Block, blocksOf, indentedBlocksOf } from './markdown.js';

const blocks = markedPages.flatMap((page) => blocksOf(page));

function block(language: string, info: string): Block {
  return { page: 'x.md', line: 1, language, info, text: '' };
}

describe('blocks of code', () => {
  it('have fences: what is only indented can say nothing', () => {
    expect(markedPages.flatMap((page) => indentedBlocksOf(page))).toEqual([]);
  });

  it('have a language and marks that are known', () => {
    expect(blocks.length).toBeGreaterThan(80);
    expect(blocks.flatMap((each) => wrongMark(each) ?? [])).toEqual([]);
  });

  it('name tests that are there as the reason', () => {
    const named = blocks.flatMap((each) => {
      const paths = (whyNot(each) ?? '').matchAll(/\b(?:test|examples)\/[\w./-]*\w/g);
      return [...paths].map(([path]) => ({ path, where: `${each.page}:${each.line}` }));
    });
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter(({ path }) => !existsSync(join(repoRoot, path)))).toEqual([]);
  });

  it('run, most of them, where a page is for a beginner', () => {
    expect(markedPages).toContain('docs/start.md');
    expect(runningBlocks('docs/start.md', 'sh').length).toBeGreaterThan(3);
    expect(runningBlocks('docs/cookbook.md', 'ts').length).toBeGreaterThan(4);
  });

  it.each([
    [block('sh', ''), undefined],
    [block('sh', 'serve'), undefined],
    [block('ts', 'no-run: a part of a program'), undefined],
    [block('text', 'output'), undefined],
    [block('', ''), 'language'],
    [block('bash', ''), 'language'],
    [block('sh', 'no-run:'), 'a mark that nobody knows'],
    [block('sh', 'no-run'), 'a mark that nobody knows'],
    [block('yaml', 'no-run: shown only'), 'a mark that nobody knows'],
    [block('ts', 'serve'), 'a mark that nobody knows'],
  ])('%o is wrong for: %s', (each, what) => {
    if (what === undefined) expect(wrongMark(each)).toBeUndefined();
    else expect(wrongMark(each)).toContain(what);
  });
});
