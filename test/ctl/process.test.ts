/** The program as it is installed: what it is called decides what it is. */

import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { useServer } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';

describeWith(['kvorum'], 'the program', () => {
  const server = useServer('kvorum');
  let dir: string;
  let etcdctl: string;

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-ctl-'));
    etcdctl = join(dir, 'etcdctl');
    symlinkSync(toolPath('kvorum'), etcdctl);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const run = async (program: string, args: readonly string[], options = {}) => {
    const done = await exec(program, args, options);
    return { code: done.code, out: done.stdout.toString('utf8'), err: done.stderr };
  };
  const kvorum = (...args: string[]) => run(toolPath('kvorum'), args);

  it('is etcdctl where a link calls it so, or after ctl', async () => {
    const said = 'etcdctl version: 3.7.3\nAPI version: 3.7\n';
    expect(await run(etcdctl, ['version'])).toEqual({ code: 0, out: said, err: '' });
    expect(await kvorum('ctl', 'version')).toEqual({ code: 0, out: said, err: '' });
  });

  it('says as kvorum what it always said of its version', async () => {
    expect((await kvorum('version')).out).toMatch(
      /^etcd Version: 3\.7\.3\n[\s\S]*kvorum Version: /,
    );
    expect((await kvorum('help')).out).toContain('--listen-client-urls');
  });

  it('puts and gets by either name, and the same bytes', async () => {
    const at = ['--endpoints', server().endpoint];
    expect(await kvorum('put', ...at, 'k', 'v')).toEqual({ code: 0, out: 'OK\n', err: '' });
    const got = { code: 0, out: 'k\nv\n', err: '' };
    expect(await kvorum(...at, 'get', 'k')).toEqual(got);
    expect(await run(etcdctl, [...at, 'get', 'k'])).toEqual(got);
    expect(await kvorum('get', 'k', ...at)).toEqual(got);
  });

  it('completes lines in bash', async () => {
    const shown = [
      'source <(etcdctl completion bash)',
      'words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _etcdctl; echo "${COMPREPLY[@]}"; }',
      'words etcdctl le; words etcdctl lease t; words etcdctl get a --lim; words etcdctl x',
    ].join('\n');
    const done = await run('bash', ['-c', shown], {
      env: { PATH: `${dir}${delimiter}${process.env.PATH}` },
    });
    expect(done).toEqual({ code: 0, out: 'lease\ntimetolive\n--limit\n\n', err: '' });
  });

  it('takes a value from stdin, and its flags from the environment', async () => {
    const env = { ETCDCTL_ENDPOINTS: server().endpoint };
    const options = { env, stdin: 'of\ntwo lines' };
    expect((await run(etcdctl, ['put', 'piped'], options)).out).toBe('OK\n');
    expect((await run(etcdctl, ['get', 'piped', '--print-value-only'], { env })).out).toBe(
      'of\ntwo lines\n',
    );
  });

  it('runs a program while it holds a lock, and ends as that does', async () => {
    const env = { ETCDCTL_ENDPOINTS: server().endpoint };
    const program = ['--', 'sh', '-c', 'echo held $ETCD_LOCK_KEY; exit 7'];
    const held = await run(etcdctl, ['lock', 'l', ...program], { env });
    expect(held).toMatchObject({ code: 7, err: 'Error: exit status 7\n' });
    expect(held.out).toMatch(/^held l\/[0-9a-f]+\n$/);
    const killed = await run(etcdctl, ['lock', 'l', '--', 'sh', '-c', 'kill -9 $$'], { env });
    expect(killed).toEqual({ code: 255, out: '', err: 'Error: signal: killed\n' });
    const missing = await run(etcdctl, ['lock', 'l', 'no-such-program'], { env });
    expect(missing.err).toBe(
      'Error: exec: "no-such-program": executable file not found in $PATH\n',
    );
    expect((await run(etcdctl, ['get', 'l/', '--prefix'], { env })).out).toBe('');
  });

  it('lets go of a lock when it is interrupted', async () => {
    const env = { ETCDCTL_ENDPOINTS: server().endpoint };
    const held = await run(etcdctl, ['lock', 'm'], {
      env,
      until: (out: string) => out.endsWith('\n\n'),
    });
    expect(held).toMatchObject({ code: 0, err: '' });
    expect((await run(etcdctl, ['get', 'm/', '--prefix'], { env })).out).toBe('');
  });

  it('ends a watch when it is interrupted', async () => {
    const env = { ETCDCTL_ENDPOINTS: server().endpoint };
    const watched = await run(etcdctl, ['watch', 'k', '--rev', '1'], {
      env,
      until: (out: string) => out.endsWith('k\nv\n'),
    });
    expect(watched).toEqual({ code: 130, out: 'PUT\nk\nv\n', err: '' });
  });
});
