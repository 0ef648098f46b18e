/** What is not TypeScript, in the eyes of those who know it (`npm run lint:files`). */

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checks } from '../../scripts/lint-files.mjs';
import { temporaryDirectory } from '../e2e/program.js';
import { have, itWith, repoRoot, type Tool, type ToolState, toolPath } from '../helpers/tools.js';

/** All that is asked for here, so that test/setup.mjs gets it. */
const needed: readonly Tool[] = ['helm', 'linters', 'systemd-analyze'];
const timeout = 300_000;

/** For each check a file, and a mistake in it that has to be found. */
const mistakes: Readonly<Record<string, readonly [string, string, string]>> = {
  'shell scripts': ['debian/postinst', 'set -e', 'set -e; cd $nowhere; ['],
  YAML: ['kubernetes/services.yaml', 'spec:', 'spec: \n  a: 1\n  a: 2'],
  Dockerfile: ['docker/Dockerfile', 'USER 10001:10001', 'USER root'],
  'manifests of Kubernetes': ['kubernetes/statefulset.yaml', 'replicas: 3', 'replicaz: 3'],
  'the Helm chart': ['helm/kvorum/values.yaml', 'replicas: 3', 'replicas: 2'],
  'manifests of the Helm chart': [
    'helm/kvorum/templates/statefulset.yaml',
    'podManagementPolicy: Parallel',
    'podManagementPolicies: Parallel',
  ],
  'the unit of systemd': ['systemd/kvorum.service', 'NoNewPrivileges=yes', 'NoNewPrivilege=yes'],
};

function toolsHere(): Partial<Record<Tool, ToolState>> {
  const found = needed.filter(have).map((tool) => [tool, { path: toolPath(tool) }]);
  return Object.fromEntries(found) as Partial<Record<Tool, ToolState>>;
}

it('has a mistake to find for each check', () => {
  expect(Object.keys(mistakes)).toEqual(Object.keys(checks));
});

describe.each(Object.entries(checks))('%s', (name, check) => {
  itWith(check.needs, 'have nothing wrong in them', { timeout }, async () => {
    expect(check.run(repoRoot, toolsHere())).toBe('');
  });

  itWith(check.needs, 'would not pass with a mistake', { timeout }, async () => {
    const root = temporaryDirectory();
    cpSync(join(repoRoot, 'deploy'), join(root, 'deploy'), { recursive: true });
    const [file, before, after] = mistakes[name] ?? ['', '', ''];
    const path = join(root, 'deploy', file);
    const text = readFileSync(path, 'utf8');
    expect(text.split(before).length, 'it is there').toBeGreaterThan(1);
    writeFileSync(path, text.replace(before, after));
    expect(check.run(root, toolsHere())).not.toBe('');
  });
});
