/** The picture of the README shows what a node prints today. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { banner } from '../../src/cli/server/banner.js';
import { defaultConfig } from '../../src/server/index.js';
import { repoRoot } from '../helpers/tools.js';

const picture = readFileSync(join(repoRoot, 'docs/images/first-minutes.svg'), 'utf8');
const [, shown = ''] = /<desc>(.*?)<\/desc>/s.exec(picture) ?? [];

/** How long it took, and which Node it was, is of the day of the picture. */
function withoutFigures(text: string): string {
  return text.replaceAll(/ready in \d+ ms/g, 'ready').replaceAll(/node v[\d.]+ \S+/g, 'node');
}

it.each([true, false])('shows the lines of a start (a new data directory: %s)', (isNewData) => {
  const lines = banner({
    config: defaultConfig(),
    clientUrls: ['http://localhost:2379'],
    dataDir: './default.etcd',
    isNewData,
    readyMs: 1,
    runtime: 'node v1.1.1 linux-x64',
  });
  for (const line of withoutFigures(lines).trimEnd().split('\n')) {
    expect(withoutFigures(shown)).toContain(line);
  }
});

it('shows that what was put is there after a kill', () => {
  const [before, after] = shown.split('$ # killed and started meanwhile');
  expect(before).toContain('$ etcdctl put /config/log-level debug\nOK\n');
  expect(after).toContain('$ etcdctl get --prefix /config/\n/config/log-level\ndebug');
});
