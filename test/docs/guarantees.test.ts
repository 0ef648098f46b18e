/** docs/guarantees.md names tests, rules and faults: all of them have to be there. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { faults } from '../chaos/faults.js';
import { repoRoot } from '../helpers/tools.js';

const page = readFileSync(join(repoRoot, 'docs/guarantees.md'), 'utf8').replace(/\n(?!\n)/g, ' ');

function sources(folder: string): string {
  return readdirSync(join(repoRoot, folder))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => readFileSync(join(repoRoot, folder, name), 'utf8'))
    .join('\n');
}

describe('docs/guarantees.md', () => {
  const named = [...page.matchAll(/(test\/[\w/.-]*\w)(?: "([^"]+)")?/g)];
  it('names tests', () => {
    expect(named.length).toBeGreaterThan(30);
  });

  it.each(named.map(([, file = '', name]) => [file, name] as const))('%s %s', (file, name) => {
    const path = join(repoRoot, file);
    expect(existsSync(path)).toBe(true);
    if (name === undefined) return;
    // Names may be quoted in any way in the source.
    expect(readFileSync(path, 'utf8').replaceAll("\\'", "'")).toContain(name);
  });

  const rules = [...page.matchAll(/`([a-z]+: [^`]+)`/g)].map(([, rule = '']) => rule);
  it('names rules of the checkers', () => {
    expect(rules.length).toBeGreaterThan(30);
  });

  const checkers = sources('test/checkers') + sources('test/chaos') + sources('test/sim');
  it.each(rules.filter((rule) => !rule.startsWith('etcdserver')))('%s', (rule) => {
    expect(checkers).toContain(`'${rule}'`);
  });

  const kinds = [...page.matchAll(/chaos faults? ((?:"[^"]+"(?:, )?)+)/g)].flatMap(([, list]) =>
    [...(list ?? '').matchAll(/"([^"]+)"/g)].map(([, kind = '']) => kind),
  );
  it.each(kinds)('fault %s', (kind) => {
    expect(Object.keys(faults)).toContain(kind);
  });
});
