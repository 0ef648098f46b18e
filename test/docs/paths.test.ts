/**
 * Pages name files, functions and arrows; code moves. What a page names has to be there, and the
 * tables of who may import whom are the ones that test/tidy.test.ts holds the code to.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mayImport, mayImportInside } from '../helpers/arrows.js';
import { repoRoot } from '../helpers/tools.js';

function read(path: string): string {
  return readFileSync(join(repoRoot, path), 'utf8');
}

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync(join(repoRoot, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path)),
];

/** A path below one of our folders, maybe with `*` in it; of ADRs, also those of before. */
const folders = 'src|test|docs|bench|scripts|examples|bin|proto|deploy';
const named = new RegExp(`(?<![\\w./-])((?:${folders})/[\\w*./-]*[\\w*/])`, 'g');

/** What stands in history, or is made by a build. */
const isExcused = (page: string, path: string): boolean =>
  /^docs\/(adr|api)\//.test(page) || /^(docs\/api|bin\/kvorum)/.test(path);

function isThere(path: string): boolean {
  const star = path.indexOf('*');
  if (star < 0) return existsSync(join(repoRoot, path));
  const folder = dirname(`${path.slice(0, star)}x`);
  if (!existsSync(join(repoRoot, folder))) return false;
  const pattern = path.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*');
  return readdirSync(join(repoRoot, folder)).some((name) =>
    new RegExp(`^${pattern}$`).test(`${folder}/${name}`),
  );
}

describe('a page', () => {
  it('names only files that are there', () => {
    const gone = pages.flatMap((page) =>
      [...read(page).matchAll(named)]
        .map(([, path = '']) => path)
        .filter((path) => !isExcused(page, path) && !isThere(path))
        .map((path) => `${page} names ${path}`),
    );
    expect(gone).toEqual([]);
  });

  it('links only to pages that are there', () => {
    const gone = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !existsSync(join(repoRoot, dirname(page), target)))
        .map((target) => `${page} links to ${target}`),
    );
    expect(gone).toEqual([]);
  });
});

/** Rows `| ... | path | `name`, `name` | ...` of a page: where a step is, and what it is called. */
function steps(page: string): Array<{ readonly path: string; readonly names: string[] }> {
  return read(page)
    .split('\n')
    .flatMap((line) => {
      const [, path, cell] =
        /^\| \d+[a-z]? \| `(src\/[\w./-]+\.ts)` \| ([^|]+) \|/.exec(line) ?? [];
      if (path === undefined || cell === undefined) return [];
      return [{ path, names: [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name) }];
    });
}

describe('docs/data-path.md', () => {
  const rows = steps('docs/data-path.md');

  it('leads through the files step by step', () => {
    expect(rows.length).toBeGreaterThan(30);
  });

  it('names functions that are in these files', () => {
    const gone = rows.flatMap(({ path, names }) =>
      names
        .filter((name) => !new RegExp(`[\\s#.*]${name}\\b`).test(read(path)))
        .map((name) => `${name} is not in ${path}`),
    );
    expect(gone).toEqual([]);
    expect(rows.filter(({ names }) => names.length === 0)).toEqual([]);
  });

  it('has steps of at most a screen', () => {
    const long = rows.flatMap(({ path, names }) =>
      names
        .map((name) => ({ path, name, lines: linesOf(read(path), name) }))
        .filter(({ lines }) => lines > screenLines)
        .map(({ name, lines }) => `${name} of ${path} has ${lines} lines`),
    );
    expect(long).toEqual([]);
  });
});

const screenLines = 60;

/** Lines of the function `name`, by its indentation; 0 if it is a type or a field. */
function linesOf(text: string, name: string): number {
  const lines = text.split('\n');
  const head = new RegExp(
    `^(\\s*)(export )?(async )?(function\\*? |readonly |\\*)?#?${name}[(<:= ]`,
  );
  const at = lines.findIndex((line) => head.test(line) && !/[;,]\s*$/.test(line));
  if (at < 0) return 0;
  const indent = /^\s*/.exec(lines[at] ?? '')?.[0] ?? '';
  const end = lines.findIndex(
    (line, i) => i > at && new RegExp(`^${indent}[})]`).test(line) && !line.endsWith('{'),
  );
  return end < 0 ? 0 : end - at + 1;
}

describe('docs/architecture.md', () => {
  const text = read('docs/architecture.md');
  /** Rows `| `folder` | what | may import |` */
  const tableOf = (folder: string): Array<readonly [string, string]> =>
    [...text.matchAll(/^\| `(src\/[\w./-]+)` \| [^|]+ \| ([^|]+) \|$/gm)]
      .map(([, path = '', cell = '']) => [path, cell.trim()] as const)
      .filter(([path]) => dirname(path) === folder)
      .map(([path, cell]) => [path.slice(folder.length + 1), cell] as const);

  const told = (allowed: Readonly<Record<string, readonly string[]>>) =>
    Object.entries(allowed).map(
      ([name, mine]) =>
        [name, mine.length === 0 ? 'nothing' : [...mine].sort().join(', ')] as const,
    );

  it.each([['src', mayImport], ...Object.entries(mayImportInside)] as const)(
    'tells the arrows of %s as they are',
    (folder, allowed) => {
      expect(new Map(tableOf(folder))).toEqual(new Map(told(allowed)));
    },
  );
});
