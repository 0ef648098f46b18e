/** `npm run release` in a clone of its own, with a history of its own. */

import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { withSentences } from '../../scripts/packages/changesets.mjs';
import { nextVersion } from '../../scripts/release.mjs';
import { exec } from '../helpers/exec.js';
import { describeWith, itWith } from '../helpers/tools.js';
import { makeClone, npmOffline } from './clone.js';

describe('the next version', () => {
  it.each([
    ['0.1.0', 'patch', '0.1.1'],
    ['0.1.5', 'minor', '0.2.0'],
    ['0.1.5', 'major', '1.0.0'],
    ['1.0.0-rc.2', 'patch', '1.0.0'],
    ['1.0.0-rc.2', 'minor', '1.0.0'],
    ['1.0.0-rc.2', 'major', '1.0.0'],
    ['1.0.1-rc.2', 'minor', '1.1.0'],
    ['1.0.0-rc.2', '1.0.0-rc.10', '1.0.0-rc.10'],
    ['1.0.0-rc', '1.0.0-rc.1', '1.0.0-rc.1'],
    ['0.9.0', '0.10.0', '0.10.0'],
  ])('after %s as %s is %s', (from, asked, to) => {
    expect(nextVersion(from, asked)).toBe(to);
  });

  it.each([
    ['0.1.0', '0.1.0', /not after/],
    ['0.10.0', '0.9.0', /not after/],
    ['1.0.0', '1.0.0-rc.1', /not after/],
    ['1.0.0-rc.10', '1.0.0-rc.9', /not after/],
    ['1.0.0-rc.1', '1.0.0-5', /not after/],
    ['0.1.0', 'v0.2.0', /is not major, minor, patch or X.Y.Z/],
    ['0.1.0', '0.2', /is not major/],
  ])('after %s is not %s', (from, asked, why) => {
    expect(() => nextVersion(from, asked)).toThrow(why);
  });
});

describe('sentences of changes', () => {
  it('go below their headings, which are made if need be', () => {
    const sentences = new Map([
      ['### Added', ['- two']],
      ['### Fixed', ['- bug']],
    ]);
    const section = '\n### Added\n- one\n\n### Changed\n- other\n\n';
    expect(withSentences(section, sentences)).toBe(
      '\n### Added\n- one\n- two\n\n### Changed\n- other\n\n### Fixed\n- bug\n\n',
    );
  });
});

describeWith(['git'], 'npm run release', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-release-'));
  const clone = join(dir, 'clone');
  const timeoutMs = 300_000;
  const who = { NAME: 'a', EMAIL: 'a@b.c', DATE: '2026-01-02T03:04:05Z' };
  const env: Record<string, string> = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  for (const [name, value] of Object.entries(who)) {
    env[`GIT_AUTHOR_${name}`] = value;
    env[`GIT_COMMITTER_${name}`] = value;
  }
  const git = async (...args: string[]): Promise<string> => {
    const run = await exec('git', args, { cwd: clone, env });
    expect(run.code, run.stderr).toBe(0);
    return run.stdout.toString('utf8').trim();
  };
  const release = (...args: string[]) => {
    const npmArgs = ['run', '--silent', 'release', '--', ...args];
    return npmOffline(npmArgs, { cwd: clone, cache: join(dir, 'cache'), timeoutMs, env });
  };
  const read = (path: string) => readFileSync(join(clone, path), 'utf8');
  const version = () => JSON.parse(read('package.json')).version as string;
  const before =
    '# Changelog\n\n## Unreleased\n\n### Added\n- A thing.\n\n## 0.0.1 - 2025-01-01\n- Old.\n';
  let first = '';

  beforeAll(async () => {
    makeClone(clone, true);
    writeFileSync(join(clone, 'CHANGELOG.md'), before);
    await git('init', '--quiet');
    await git('add', '.');
    await git('commit', '--quiet', '--message', 'All');
    first = await git('rev-parse', 'HEAD');
  }, timeoutMs);
  beforeEach(async () => {
    await git('reset', '--quiet', '--hard', first);
    await git('clean', '--quiet', '--force');
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const nothingChanged = async (): Promise<void> => {
    expect(await git('status', '--porcelain')).toBe('');
    expect(await git('rev-parse', 'HEAD')).toBe(first);
    expect(await git('tag', '--list')).toBe('');
  };

  it('says with --dry-run what it would do, and does nothing', async () => {
    const run = await release('minor', '--dry-run');
    expect(run.code, run.stderr).toBe(0);
    expect(run.stderr).toContain('version 0.1.0 -> 0.2.0, tag v0.2.0');
    expect(run.stdout.toString('utf8')).toBe('kvorum 0.2.0\n\n### Added\n- A thing.\n');
    await nothingChanged();
  });

  it('does not begin if the tree is not clean', async () => {
    writeFileSync(join(clone, 'left-behind.txt'), '');
    const run = await release('patch');
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/commit or remove these first:\s+\?\? left-behind.txt/);
    expect(version()).toBe('0.1.0');
  });

  it('does not begin if the version is not a later one, or is tagged', async () => {
    expect((await release('0.1.0')).stderr).toContain('0.1.0 is not after 0.1.0');
    await git('tag', 'v0.1.1');
    const run = await release('patch');
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('tag v0.1.1 is there already');
    await git('tag', '--delete', 'v0.1.1');
    await nothingChanged();
  });

  it('needs a version if no change asks for one', async () => {
    const run = await release();
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('no change asks for a version');
    await nothingChanged();
  });

  it('needs the tool that reads changes only where there are some', async () => {
    const change = join(clone, 'packages/.changeset/one.md');
    writeFileSync(change, '---\nkvorum: patch\n---\n\nA bug.\n');
    await git('add', '.');
    await git('commit', '--quiet', '--message', 'A change');
    // No registry is asked here.
    const run = await release('--dry-run');
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('packages/.changeset: the tools of scripts/package-tools');
  });

  itWith(
    ['npm-registry'],
    'takes version and sentences from the files of changes',
    { timeout: timeoutMs },
    async () => {
      const change = (name: string, text: string) => {
        writeFileSync(join(clone, 'packages/.changeset', `${name}.md`), text);
      };
      change('one', "---\n'@kvorum/client': minor\n---\n\nA thing for\nclients.\n");
      change('two', '---\nkvorum: patch\n---\n\nA bug.\n');
      await git('add', '.');
      await git('commit', '--quiet', '--message', 'Changes');
      const online = { npm_config_offline: 'false' };
      const args = ['run', '--silent', 'release', '--', '--dry-run'];
      const npm = { cwd: clone, cache: join(dir, 'cache'), timeoutMs, env: { ...env, ...online } };
      const run = await npmOffline(args, npm);
      expect(run.code, run.stderr).toBe(0);
      expect(run.stderr).toContain('version 0.1.0 -> 0.2.0, tag v0.2.0');
      expect(run.stdout.toString('utf8')).toBe(
        'kvorum 0.2.0\n\n### Added\n- A thing.\n- A thing for\n  clients.\n\n### Fixed\n- A bug.\n',
      );
    },
  );

  it('does not begin if nothing has changed for users', async () => {
    writeFileSync(
      join(clone, 'CHANGELOG.md'),
      '# Changelog\n\n## Unreleased\n\n## 0.0.1\n- Old.\n',
    );
    await git('commit', '--quiet', '--all', '--message', 'Empty');
    const run = await release('patch');
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('nothing is ## Unreleased');
  });

  it('leaves everything as it was if the package cannot be built', {
    timeout: timeoutMs,
  }, async () => {
    appendFileSync(join(clone, 'src/common/kvorum-version.ts'), 'const wrong: number = "x";\n');
    await git('commit', '--quiet', '--all', '--message', 'Break it');
    const broken = await git('rev-parse', 'HEAD');
    const run = await release('patch');
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('packing failed');
    expect(await git('status', '--porcelain')).toBe('');
    expect(await git('rev-parse', 'HEAD')).toBe(broken);
    expect(await git('tag', '--list')).toBe('');
  });

  it('makes a version: numbers, changelog, tarball, commit and tag', {
    timeout: timeoutMs,
  }, async () => {
    const out = join(dir, 'tarballs');
    const run = await release('0.2.0-rc.1', '--date', '2026-03-04', '--out', '../tarballs');
    expect(run.code, run.stderr).toBe(0);
    expect(await git('status', '--porcelain')).toBe('');
    expect(await git('log', '--format=%s', `${first}..`)).toBe('Release 0.2.0-rc.1');
    const tagText = await git('tag', '--list', '--format=%(contents)', 'v0.2.0-rc.1');
    expect(tagText).toBe('kvorum 0.2.0-rc.1\n\n### Added\n- A thing.');
    expect(version()).toBe('0.2.0-rc.1');
    expect(read('deploy/kubernetes/statefulset.yaml')).toContain('image: kvorum:0.2.0-rc.1\n');
    expect(read('deploy/docker/compose.yaml')).toContain('image: kvorum:0.2.0-rc.1\n');
    expect(read('deploy/helm/kvorum/Chart.yaml')).toMatch(/^appVersion: 0\.2\.0-rc\.1$/m);
    const lock = JSON.parse(read('package-lock.json'));
    expect([lock.version, lock.packages[''].version]).toEqual(['0.2.0-rc.1', '0.2.0-rc.1']);
    expect(read('CHANGELOG.md')).toBe(
      before.replace('## Unreleased\n', '## Unreleased\n\n## 0.2.0-rc.1 - 2026-03-04\n'),
    );
    const names = ['kvorum', 'kvorum-client', 'kvorum-testing'];
    const tarballs = readdirSync(out).filter((name) => name.endsWith('.tgz'));
    expect(tarballs.sort()).toEqual(names.map((name) => `${name}-0.2.0-rc.1.tgz`).sort());
    for (const folder of ['client', 'kvorum', 'testing']) {
      expect(read(`packages/${folder}/package.json`)).not.toContain('"0.1.0"');
    }
    // What was packed is that version.
    const tarball = join(out, 'kvorum-0.2.0-rc.1.tgz');
    const file = await exec('tar', ['-xzOf', tarball, 'package/dist/bin/kvorum.cjs']);
    expect(file.stdout.toString('utf8')).toMatch(/kvorumVersion = "0\.2\.0-rc\.1"/);
  });
});
