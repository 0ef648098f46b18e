/**
 * What the image is built from, and its first stage step by step: a container's files are a folder
 * here, since few machines have what builds images.
 */

import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeDockerContext } from '../../scripts/docker-context.mjs';
import { anyPeerPort, endProgramsAfterEach, serve, temporaryDirectory } from '../e2e/program.js';
import { exec } from '../helpers/exec.js';
import { describeWith, repoRoot } from '../helpers/tools.js';

endProgramsAfterEach();
const timeout = 300_000;

/** Instructions and their arguments, continued lines joined. */
function instructions(dockerfile: string): Array<readonly [string, string]> {
  const joined = dockerfile.replace(/^#.*\n/gm, '').replace(/\\\n\s*/g, '');
  return [...joined.matchAll(/^([A-Z]+) (.*)$/gm)].map(([, name = '', rest = '']) => {
    return [name, rest] as const;
  });
}

describeWith(['kvorum'], 'the image', () => {
  it('is built from the packed tarball without asking a registry', { timeout }, async () => {
    const context = makeDockerContext(repoRoot);
    expect(readdirSync(context).sort()).toEqual(['Dockerfile', 'healthcheck.mjs', 'kvorum.tgz']);
    const dir = temporaryDirectory();
    const opt = join(dir, 'opt/kvorum');
    mkdirSync(opt, { recursive: true });
    const all = instructions(readFileSync(join(context, 'Dockerfile'), 'utf8'));
    const stages = all.map(([name], i) => (name === 'FROM' ? i : -1)).filter((i) => i >= 0);
    const build = all.slice(stages[0], stages[1]).filter(([name]) => name === 'RUN');
    expect(build).toHaveLength(3);
    for (const [, command] of build) {
      const here = command.replace('/tmp/kvorum.tgz', join(context, 'kvorum.tgz'));
      // An npm that finds no registry would fail.
      const env = { npm_config_offline: 'true', npm_config_cache: join(dir, 'cache') };
      const outcome = await exec('sh', ['-ec', here], { cwd: opt, env, timeoutMs: timeout });
      expect(outcome.code, `${here}: ${outcome.stderr}`).toBe(0);
    }
    expect(readdirSync(join(opt, 'dist/cache')).length, 'compiled code is kept').toBeGreaterThan(0);
    const urls = ['--listen-client-urls', 'http://127.0.0.1:0', ...anyPeerPort];
    const args = [...urls, '--advertise-client-urls', 'http://127.0.0.1:2379'];
    const server = await serve(args, { program: join(opt, 'bin/kvorum'), cwd: dir });
    expect((await fetch(`${server.clientUrls[0]}/health`)).status).toBe(200);
    expect(readdirSync(dir), 'data is where the image has a volume').toContain('default.etcd');
  });

  it('does not run as root, says how it is, and has no settings of its own', () => {
    const all = instructions(readFileSync(join(repoRoot, 'deploy/docker/Dockerfile'), 'utf8'));
    const last = (wanted: string) => all.findLast(([name]) => name === wanted)?.[1];
    expect(last('USER')).toMatch(/^[1-9]\d+:[1-9]\d+$/);
    expect(last('WORKDIR')).toBe(last('VOLUME'));
    expect(last('HEALTHCHECK')).toContain('/opt/kvorum/healthcheck.mjs');
    // Setting a flag in both ways is an error, as in etcd.
    expect(last('ENV')).toBeUndefined();
    expect(JSON.parse(last('ENTRYPOINT') ?? '')).toEqual(['kvorum']);
  });
});
