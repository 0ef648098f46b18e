/**
 * What the tests of the pages need to know of Markdown: fenced blocks with what is said behind
 * their language, code that is only indented, headings and links. Not more than our pages use.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { slugOf } from '../../scripts/docs-site/slug.mjs';
import { repoRoot } from '../helpers/tools.js';

/** A block of code of a page. */
export interface Block {
  readonly page: string;
  /** Of its first line of code, from 1. */
  readonly line: number;
  /** `sh`, `ts`, ...; empty if the fence says none. */
  readonly language: string;
  /** What follows the language: `serve`, `output`, `no-run: why`. */
  readonly info: string;
  readonly text: string;
}

/** The text of a page. */
export function readPage(page: string): string {
  return readFileSync(join(repoRoot, page), 'utf8');
}

/** All pages, by their paths from the root. */
export const pages: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'examples/README.md',
  ...readdirSync(join(repoRoot, 'docs'), { recursive: true, encoding: 'utf8' })
    .map((path) => `docs/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.md'))
    .sort(),
];

const fence = /^( *)(`{3,})([^\s`]*) *(.*)$/;

/** The lines of a page, each with the fenced block that it is in. */
function* linesOf(
  text: string,
): Generator<{ line: string; number: number; open?: RegExpExecArray }> {
  let open: RegExpExecArray | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const found = fence.exec(line);
    const closes = open !== undefined && found?.[2] === open[2] && found?.[3] === '';
    const isFence = closes || (open === undefined && found !== null);
    if (!isFence) yield { line, number: index + 1, ...(open === undefined ? {} : { open }) };
    if (closes) open = undefined;
    else if (open === undefined && found !== null) open = found;
  }
}

/** The fenced blocks of a text, in order. */
export function blocksOf(page: string, text = readPage(page)): Block[] {
  const blocks = new Map<RegExpExecArray, { line: number; lines: string[] }>();
  for (const { line, number, open } of linesOf(text)) {
    if (open === undefined) continue;
    const block = blocks.get(open) ?? { line: number, lines: [] };
    blocks.set(open, block);
    block.lines.push(line.slice(open[1]?.length ?? 0));
  }
  return [...blocks].map(([[, , , language = '', info = ''], { line, lines }]) => {
    return { page, line, language, info: info.trim(), text: `${lines.join('\n')}\n` };
  });
}

/** Lines of code that no fence is around, with their numbers: one for each such block. */
export function indentedBlocksOf(page: string, text = readPage(page)): string[] {
  const found: string[] = [];
  let before = '';
  let isInList = false;
  for (const { line, number, open } of linesOf(text)) {
    if (open !== undefined) continue;
    if (/^\s*([-*]|\d+\.) /.test(line)) isInList = true;
    else if (/^\S/.test(line)) isInList = false;
    if (/^ {4,}\S/.test(line) && before.trim() === '' && !isInList) {
      found.push(`${page}:${number} ${line.trim()}`);
    }
    // What follows inside of the block is no other block.
    if (!(line.trim() === '' && /^ {4,}\S/.test(before))) before = line;
  }
  return found;
}

/** Text without its code: what links and headings are looked for in. */
function proseOf(text: string): string {
  const lines = [...linesOf(text)].filter(({ open }) => open === undefined);
  return lines.map(({ line }) => line).join('\n');
}

/** The anchors of a page, as GitHub and the site make them. */
export function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of proseOf(readPage(page)).matchAll(/^#{1,6} (.*)$/gm)) {
    const shown = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '');
    const slug = slugOf(shown);
    let anchor = slug;
    for (let again = 1; anchors.has(anchor); again++) anchor = `${slug}-${again}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** What the links of a page lead to, as it is written there. */
export function linksOf(page: string): string[] {
  const prose = proseOf(readPage(page)).replace(/`[^`]*`/g, '`');
  const inline = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)];
  const defined = [...prose.matchAll(/^\[[^\]]+\]:\s+(\S+)/gm)];
  const bare = [...prose.matchAll(/<(https?:[^>\s]+)>/g)];
  return [...inline, ...defined, ...bare].map(([, target = '']) => target);
}
