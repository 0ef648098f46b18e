/** The alerts for backups: their metrics are there, and they fire when they should. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { describeWith, repoRoot, toolPath } from '../helpers/tools.js';

const folder = join(repoRoot, 'deploy/prometheus');

it('alerts for backups ask for metrics that docs/metrics.md tells', () => {
  const rules = readFileSync(join(folder, 'backup.rules.yml'), 'utf8');
  const page = readFileSync(join(repoRoot, 'docs/metrics.md'), 'utf8');
  const names = new Set(rules.match(/\bkvorum_\w+/g));
  expect(names.size).toBe(3);
  for (const name of names) expect(page).toContain(`| \`${name}\` |`);
});

describeWith(['promtool'], 'alerts for backups', () => {
  it.each([
    ['check', 'backup.rules.yml'],
    ['test', 'backup.rules.test.yml'],
  ])('pass promtool %s rules', async (verb, file) => {
    const run = await exec(toolPath('promtool'), [verb, 'rules', file], { cwd: folder });
    expect(run.code, `${run.stdout}${run.stderr}`).toBe(0);
    expect(run.stdout.toString()).toContain('SUCCESS');
  });
});
