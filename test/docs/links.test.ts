/**
 * Every link of every page leads somewhere, on GitHub as on the site: files are there, anchors too.
 * Nothing is fetched; of what is outside only the form is looked at.
 */

import { existsSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repoRoot } from '../helpers/tools.js';
import { anchorsOf, blocksOf, indentedBlocksOf, linksOf, pages } from './markdown.js';

/** What is wrong with a link of a page; undefined if nothing is. */
function wrongWith(page: string, target: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return wrongOutside(target);
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : posix.normalize(posix.join(dirname(page), path));
  if (file.startsWith('..')) return 'leads out of the repository';
  if (!existsSync(join(repoRoot, file))) return 'is not there';
  if (anchor === undefined) return undefined;
  if (statSync(join(repoRoot, file)).isDirectory()) return 'is a folder, which has no anchors';
  return anchorsOf(file).has(anchor) ? undefined : `has no heading #${anchor}`;
}

function wrongOutside(target: string): string | undefined {
  if (/^mailto:[^@\s]+@[^@\s]+$/.test(target)) return undefined;
  if (!URL.canParse(target)) return 'is no URL';
  const { protocol, hostname } = new URL(target);
  if (protocol !== 'https:') return 'is not https';
  return hostname.includes('.') ? undefined : 'has no host that others can reach';
}

describe('links', () => {
  it('lead somewhere', () => {
    const wrong = pages.flatMap((page) =>
      linksOf(page).flatMap((target) => {
        const what = wrongWith(page, target);
        return what === undefined ? [] : [`${page}: ${target} ${what}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('of pages on the site stay on it', () => {
    const leaving = pages
      .filter((page) => page.startsWith('docs/'))
      .flatMap((page) =>
        linksOf(page)
          .filter((target) => !/^[a-z]+:|^#/i.test(target))
          .filter((target) => !posix.join(dirname(page), target).startsWith('docs/'))
          .map((target) => `${page}: ${target}`),
      );
    expect(leaving).toEqual([]);
  });

  it.each([
    ['docs/README.md', 'operations.md', undefined],
    ['docs/README.md', 'operations.md#certificates', undefined],
    ['docs/client/README.md', '../operations.md#a-member-is-down', undefined],
    ['docs/README.md', 'operations.md#nowhere', 'has no heading #nowhere'],
    ['docs/README.md', 'nowhere.md', 'is not there'],
    ['docs/README.md', '../../nowhere.md', 'leads out of the repository'],
    ['docs/README.md', 'http://example.org/', 'is not https'],
    ['docs/README.md', 'https://nowhere/', 'has no host that others can reach'],
    ['docs/README.md', 'https://example.org/x', undefined],
  ])('in %s to %s: %s', (page, target, what) => {
    expect(wrongWith(page, target)).toBe(what);
  });
});

describe('what these tests know of Markdown', () => {
  const text = [
    'A.',
    '',
    '    indented',
    '',
    '    the same block',
    '',
    '- item',
    '',
    '    of the item',
    '',
    '```sh no-run: a reason',
    'ls',
    '',
    '    inside',
    '```',
    '````text',
    '```sh',
    '````',
  ].join('\n');

  it('finds blocks, with what is said of them', () => {
    expect(blocksOf('x.md', text)).toEqual([
      {
        page: 'x.md',
        line: 12,
        language: 'sh',
        info: 'no-run: a reason',
        text: 'ls\n\n    inside\n',
      },
      { page: 'x.md', line: 17, language: 'text', info: '', text: '```sh\n' },
    ]);
  });

  it('finds code that is only indented', () => {
    expect(indentedBlocksOf('x.md', text)).toEqual(['x.md:3 indented']);
  });
});
