/**
 * The pages for people who carry on (glossary, debugging, how-to, releasing, security, and
 * CONTRIBUTING.md) name commands, metrics, flags, log lines and code: each is there. That the files
 * are is held by paths.test.ts.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Metrics } from '../../src/server/metrics/metrics.js';
import { createMetricsText } from '../../src/server/metrics/registry.js';
import { flagByName } from '../../src/server/options/flags-table.js';
import { repoRoot } from '../helpers/tools.js';

const read = (path: string) => readFileSync(join(repoRoot, path), 'utf8');
const pages = [
  'CONTRIBUTING.md',
  'SECURITY.md',
  'docs/debugging.md',
  'docs/dependencies.md',
  'docs/glossary.md',
  'docs/how-to.md',
  'docs/releasing.md',
  'docs/slow.md',
];

/** What `pattern` captures in a page, each once. */
function named(page: string, pattern: RegExp): string[] {
  return [...new Set([...read(page).matchAll(pattern)].map(([, found = '']) => found))];
}

describe.each(pages)('%s', (page) => {
  it('names npm scripts that are there', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const asked = named(page, /\bnpm run (?:--silent )?([\w:-]+)/g);
    expect(asked.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('names headings that are there', () => {
    const anchors = named(page, /\]\(#([\w-]+)\)/g);
    const headings = named(page, /^#{2,3} (.*)$/gm).map((heading) => {
      return heading
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replaceAll(' ', '-');
    });
    expect(anchors.filter((anchor) => !headings.includes(anchor))).toEqual([]);
  });
});

/** The text of all files of src. */
function sourceText(): string {
  return readdirSync(join(repoRoot, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
}

describe('docs/how-to.md', () => {
  it('shows code that is there, line by line', () => {
    const source = new Set(
      sourceText()
        .split('\n')
        .map((line) => line.trim()),
    );
    const blocks = [...read('docs/how-to.md').matchAll(/```ts[^\n]*\n([\s\S]*?)```/g)];
    const lines = blocks.flatMap(([, block = '']) => block.split('\n'));
    const shown = lines.map((line) => line.replace(/ \/\/ .*/, '').trim());
    expect(shown.length).toBeGreaterThan(30);
    expect(shown.filter((line) => !source.has(line))).toEqual([]);
  });
});

/** What is searched for in `/metrics`, in the words of either page. */
const searched = /^(?: *metrics \S+ \| grep(?: -E)?|each) '([^']+)'$/gm;

describe.each(['docs/debugging.md', 'docs/slow.md'])('%s', (page) => {
  it('names metrics that are shown', async () => {
    const text = await createMetricsText(new Metrics(), {
      extensive: true,
      process: true,
      versions: { kvorum: '', etcd: '', node: '' },
      loopLag: () => ({ p50: 0, p99: 0, max: 0 }),
    })();
    const shown = new Set([...text.body.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name));
    const asked = named(page, /`((?:etcd|kvorum|nodejs|process|grpc)_[a-z_]+[a-z])`/g);
    expect(asked.length).toBeGreaterThan(8);
    expect(asked.filter((name) => !shown.has(name))).toEqual([]);
    // What is searched for finds something; what has rows only once it happened, by its name.
    const lines = [...shown].flatMap((name) => [name, `${name}_sum`, `${name}_count`]);
    lines.push(...text.body.split('\n'));
    for (const pattern of named(page, searched)) {
      const found = lines.some((line) => new RegExp(pattern).test(line));
      expect(found, pattern).toBe(true);
    }
  });
});

describe('docs/debugging.md', () => {
  const page = 'docs/debugging.md';

  it('names flags that are there', () => {
    const other = new Set(['command-timeout', 'endpoints', 'help']);
    const simulator = read('test/sim/options.ts');
    const flame = read('bench/flame/options.ts') + read('bench/options.ts');
    const cluster = read('scripts/cluster.mjs');
    const ofNode = /^(inspect|heapsnapshot|diagnostic|input-type)/;
    const asked = named(page, /(?<![\w-])--([a-z][a-z-]+)/g).filter((name) => {
      const known = [simulator, flame, cluster].some((text) => text.includes(name));
      return !known && !other.has(name) && !ofNode.test(name) && !flagByName.has(name);
    });
    expect(asked).toEqual([]);
  });

  it('names log lines that are written', () => {
    const lines = [
      'lost the link to a member',
      'no link to a member, trying on',
      'another member refuses to talk to this one',
      'there is a member of another cluster at this URL',
      'elected leader',
      'lost the leader',
      'too far behind the leader: fetching a snapshot',
      'installed a snapshot',
      'the event loop stalled',
      'request stats',
    ];
    const source = sourceText();
    // A line may be broken in the page.
    const text = read(page).replace(/\s+/g, ' ');
    for (const line of lines) {
      expect(text).toContain(line);
      expect(source).toContain(`'${line}'`);
    }
  });
});
