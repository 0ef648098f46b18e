/**
 * `snapshot` against etcdctl and etcdutl 3.7.3: what is saved of etcd and of kvorum is what they
 * say it is, and a directory is made of it.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCtlHere } from '../helpers/ctl-in-process.js';
import { exec } from '../helpers/exec.js';
import { maskOutput } from '../helpers/mask.js';
import { type ServerKind, useServer } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';

describeWith(['etcd37', 'etcdctl37', 'etcdutl37', 'kvorum'], 'snapshots', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-ctl-snapshot-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  describe.each<ServerKind>(['etcd', 'kvorum'])('of %s', (kind) => {
    const server = useServer(kind, () => (kind === 'etcd' ? { program: toolPath('etcd37') } : {}));
    const file = join(dir, `${kind}.db`);
    const at = () => ['--endpoints', server().endpoint];

    beforeAll(async () => {
      const lines = ['put a 1', 'put b 2', 'put b 3', 'del a', 'put c 4', 'compaction 3'];
      for (const line of lines) {
        const { code } = await runCtlHere([...line.split(' '), ...at()]);
        expect(code).toBe(0);
      }
      // The bucket of the keys spans several pages, the values several of the stream's messages.
      for (let i = 0; i < 40; i += 1) {
        const value = String(i).repeat(50_000);
        const { code } = await runCtlHere(['put', `big/${i}`, value, ...at()]);
        expect(code).toBe(0);
      }
    });

    it('are saved with the words of etcdctl, and nothing beside them is left', async () => {
      const etcdctls = join(dir, `${kind}-etcdctl.db`);
      const known = new Map([
        [etcdctls, '<file>'],
        [file, '<file>'],
        [server().endpoint, '<endpoint>'],
      ]);
      const line = (path: string) => ['snapshot', 'save', path, ...at()];
      const theirs = await exec(toolPath('etcdctl37'), line(etcdctls));
      const ours = await runCtlHere(line(file));
      const shown = ({ code, stdout, stderr }: typeof ours) => [
        code,
        maskOutput(stdout.toString(), known),
        maskOutput(stderr, known),
      ];
      expect(shown(ours)).toEqual(shown(theirs));
      expect(readFileSync(file).length).toBe(readFileSync(etcdctls).length);
      expect(readdirSync(dir).filter((name) => name.endsWith('.part'))).toEqual([]);
    });

    it.each(['simple', 'json', 'fields', 'table'])('are looked into as %s', async (format) => {
      const line = ['snapshot', 'status', file, '-w', format];
      const theirs = await exec(toolPath('etcdutl37'), line);
      const ours = await runCtlHere(line, { program: 'kvorum' });
      expect(ours).toEqual({ code: 0, stdout: theirs.stdout, stderr: '' });
    });

    it('become a directory', async () => {
      const data = join(dir, `${kind}.data`);
      const line = ['snapshot', 'restore', file, '--data-dir', data, '--name=default'];
      const { code, stdout, stderr } = await runCtlHere(line, { program: 'kvorum' });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout.toString()).toMatch(/^restored \d+ revisions of keys/);
      expect(readdirSync(data)).toContain('member');
    });

    it('are told of on a terminal while they come', async () => {
      const path = join(dir, `${kind}-seen.db`);
      const { code, stderr } = await runCtlHere(['snapshot', 'save', path, ...at()], {
        program: 'kvorum',
        onTerminal: true,
      });
      expect(code).toBe(0);
      expect(stderr).toMatch(/saving {2}[\s\S]* MB in .*, its hash is right\n$/);
    });

    it('are not there when saving was interrupted, and what was there is as it was', async () => {
      const path = join(dir, `${kind}-old.db`);
      writeFileSync(path, 'old');
      const stop = new AbortController();
      stop.abort();
      const run = await runCtlHere(['snapshot', 'save', path, ...at()], {
        interrupted: stop.signal,
      });
      expect(run.code).toBe(5);
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(readdirSync(dir).filter((name) => name.endsWith('.part'))).toEqual([]);
    });
  });

  it.each([
    ['snapshot save'],
    ['snapshot save a b'],
    [`snapshot save ${join(dir, 'x')} --endpoints 127.0.0.1:1,127.0.0.1:2`],
    [`snapshot save ${join(dir, 'absent', 'x')} --endpoints 127.0.0.1:1`],
  ])('%s fails as with etcdctl', async (line) => {
    const theirs = await exec(toolPath('etcdctl37'), line.split(' '));
    const ours = await runCtlHere(line.split(' '));
    const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);
    expect([ours.code, lastLine(ours.stderr)]).toEqual([theirs.code, lastLine(theirs.stderr)]);
  });

  it('what is no snapshot is refused', async () => {
    const broken = join(dir, 'broken.db');
    writeFileSync(broken, Buffer.alloc(100_000));
    const { code, stderr } = await runCtlHere(['snapshot', 'status', broken], {
      program: 'kvorum',
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/no valid meta page/);
    const absent = join(dir, 'none.db');
    const line = ['snapshot', 'status', absent];
    const theirs = await exec(toolPath('etcdutl37'), line);
    expect(await runCtlHere(line, { program: 'kvorum' })).toMatchObject({
      code: theirs.code,
      stderr: theirs.stderr,
    });
  });

  it('etcdctl has no status', async () => {
    const { stdout } = await runCtlHere(['snapshot', 'status', 'x']);
    expect(stdout.toString()).toMatch(/^Usage/m);
  });
});
