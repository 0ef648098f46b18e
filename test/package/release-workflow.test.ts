/** What publishes the packages is as it should be, and fits what is published. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { packageFolders } from '../../scripts/packages/index.mjs';
import { exec } from '../helpers/exec.js';
import { repoRoot } from '../helpers/tools.js';
import { must } from './assembled.js';

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

const text = readFileSync(join(repoRoot, '.github/workflows/release.yml'), 'utf8');
const { jobs, permissions } = parse(text) as {
  readonly jobs: Readonly<Record<'build' | 'publish', Job>>;
  readonly permissions: Readonly<Record<string, string>>;
};
const steps = Object.values(jobs).flatMap((job) => job.steps);
const names = packageFolders.map((folder) => {
  const path = join(repoRoot, 'packages', folder, 'package.json');
  return JSON.parse(readFileSync(path, 'utf8')).name as string;
});

describe('the workflow of releases', () => {
  it('runs no action that somebody could exchange', () => {
    const used = steps.flatMap(({ uses }) => uses ?? []);
    expect(used.length).toBeGreaterThan(3);
    for (const each of used) expect(each).toMatch(/^actions\/[a-z-]+@[0-9a-f]{40}$/);
  });

  it('may sign only where it publishes, and only what was built before', () => {
    expect(permissions).toEqual({ contents: 'read' });
    expect(jobs.build.permissions).toBeUndefined();
    expect(jobs.publish.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    expect(jobs.publish.steps.some(({ uses }) => uses?.startsWith('actions/checkout'))).toBe(false);
  });

  it.each([
    ['v0.2.0', 'latest'],
    ['v0.2.0-rc.1', 'next'],
  ])('publishes all packages of %s as %s, with provenance', async (ref, tag) => {
    const script = jobs.publish.steps.flatMap(({ run }) => run ?? []).join('\n');
    // Nothing has been published yet, and nothing is.
    const npm = 'npm() { [ "$1" = view ] && return 1; echo "npm $*"; }';
    const run = await exec('bash', ['-eu', '-c', `${npm}\n${script}`], {
      env: { GITHUB_REF_NAME: ref },
    });
    const version = ref.slice(1);
    const files = names.map((name) => `${name.replace('@', '').replace('/', '-')}-${version}.tgz`);
    expect(must(run).trim().split('\n')).toEqual(
      files.map((file) => {
        return `npm publish ./packages/${file} --provenance --access public --tag ${tag}`;
      }),
    );
  });
});

describe('npm publish in the checkout', () => {
  it('says what is published instead', () => {
    const { scripts } = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));
    expect(scripts.prepublishOnly).toMatch(/npm run packages.*exit 1/);
  });
});
