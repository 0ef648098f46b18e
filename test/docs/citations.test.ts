/**
 * Code, tests and pages cite facts by ids: C-1.7 of docs/contract.md, R-16 of docs/raft-rules.md,
 * L-12 of docs/lessons.md. Each id has to be there, once, and so has what those pages name.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repoRoot } from '../helpers/tools.js';

interface Source {
  readonly path: string;
  readonly text: string;
}

function read(path: string): Source {
  return { path, text: readFileSync(join(repoRoot, path), 'utf8') };
}

const folders = ['src', 'test', 'bench', 'scripts', 'docs', 'examples', 'proto'];
const self = 'test/docs/citations.test.ts';

const everything: readonly Source[] = [
  ...folders.flatMap((folder) =>
    readdirSync(join(repoRoot, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(ts|mjs|js|md|txt|proto)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name).slice(join(repoRoot, '/').length)),
  ),
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
]
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => !/\/(generated|node_modules)\//.test(path) && path !== self)
  .map(read);

/** Where the ids of each letter are defined, and how a definition looks. */
const pages = [
  { letter: 'C', path: 'docs/contract.md', definition: /^(?:#{2,3} |- \*\*)(C-\d+(?:\.\d+)*)\b/gm },
  { letter: 'R', path: 'docs/raft-rules.md', definition: /^\| (R-\d+) \|/gm },
  { letter: 'L', path: 'docs/lessons.md', definition: /^\| (L-\d+) \|/gm },
] as const;

const citation = /(?<![\w-])([CRL]-\d+(?:\.\d+)*)(?!\w)/g;

function captures(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, found = '']) => found);
}

/** How the same facts were cited before they were here: by numbers of pages that nobody has. */
const oldWays = [
  /\bcontract'?s? ?\(?(sections? )?\d/i,
  /\breliability\.md|\breliability (row|section)s? \d|\betcd-contract\b|\bscorecard\b/i,
  /\bdesign\.md|\bdesign (section )?\d|\bshared notes\b/i,
  /\b(row|rule|trap)s? \d/i,
  /\brow [A-F]\b/i,
  /\bsection \d+[A-F]\b/,
];

describe('citations', () => {
  const defined = pages.map((page) => ({
    ...page,
    ids: captures(read(page.path).text, page.definition),
  }));
  const known = new Set(defined.flatMap(({ ids }) => ids));

  it.each(defined)('$path defines ids, each once', ({ letter, ids }) => {
    expect(ids.length).toBeGreaterThan(30);
    expect(ids.filter((id) => !id.startsWith(`${letter}-`))).toEqual([]);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
  });

  it('are of ids that are there', () => {
    const cited = everything.flatMap(({ path, text }) =>
      captures(text, citation).map((id) => ({ path, id })),
    );
    expect(cited.filter(({ path }) => /^(src|test)\//.test(path)).length).toBeGreaterThan(100);
    expect(cited.filter(({ id }) => !known.has(id))).toEqual([]);
  });

  it('are not by number of a page that is not here', () => {
    const found = everything.flatMap(({ path, text }) => {
      // A comment may break anywhere.
      const line = text.replace(/\n\s*(\*|\/\/)?\s*/g, ' ');
      return oldWays.flatMap((pattern) =>
        [...line.matchAll(new RegExp(pattern, `${pattern.flags}g`))].map(
          ({ index }) => `${path}: ${line.slice(Math.max(0, index - 40), index + 40)}`,
        ),
      );
    });
    expect(found).toEqual([]);
  });
});

describe.each(pages)('$path', ({ path, definition }) => {
  const { text } = read(path);

  it('names files that are there', () => {
    const named = captures(text, /(?<![\w./-])((?:src|test|docs|bench)\/[\w/.-]*\.\w+)/g);
    expect(named.filter((file) => !existsSync(join(repoRoot, file)))).toEqual([]);
  });

  it('names functions where they are', () => {
    const held = [...text.matchAll(/(src\/[\w/.-]+\.ts) `(\w+)`/g)];
    const missing = held.filter(
      ([, file = '', name = '']) =>
        existsSync(join(repoRoot, file)) && !new RegExp(`\\b${name}\\b`).test(read(file).text),
    );
    expect(missing.map(([what]) => what)).toEqual([]);
  });

  it('names tests that cite what they show', () => {
    const rows = text.split('\n').filter((line) => captures(line, definition).length > 0);
    const silent = rows.flatMap((row) => {
      const [id = ''] = captures(row, definition);
      return captures(row, /(test\/[\w/.-]*\.ts)/g)
        .filter((file) => existsSync(join(repoRoot, file)))
        .filter((file) => !captures(read(file).text, citation).includes(id))
        .map((file) => `${file} does not cite ${id}`);
    });
    expect(silent).toEqual([]);
  });
});
