/** A server process that is looked at: profiles over HTTP, and a log file that rotates. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { exec } from '../helpers/exec.js';
import { type ServerProcess, startKvorum } from '../helpers/server.js';
import { describeWith, itWith, toolPath } from '../helpers/tools.js';

describeWith(['kvorum'], 'a server process that is looked at', () => {
  async function withServer(
    args: readonly string[],
    use: (server: ServerProcess) => Promise<void>,
  ): Promise<void> {
    const server = await startKvorum({ args });
    try {
      await use(server);
    } finally {
      await server.dispose();
    }
  }

  it('gives profiles, and ends also while one is being taken', { timeout: 120_000 }, async () => {
    await withServer(['--enable-pprof'], async (server) => {
      const get = (path: string) => fetch(`${server.clientUrl}/debug/pprof/${path}`);
      // Samples are few: one each 512 KiB that are allocated.
      await eventually(async () => {
        await fetch(`${server.clientUrl}/metrics`);
        const heap = await get('heap');
        const bytes = gunzipSync(Buffer.from(await heap.arrayBuffer()));
        return Profile.decode(bytes).function.length > 3 || undefined;
      }, 'there is something in use');
      const long = get('profile?seconds=300');
      // Its headers are there at once: it is being taken.
      const body = (await long).arrayBuffer();
      body.catch(() => {}); // it ends while the server stops
      expect((await get('profile?seconds=1')).status).toBe(500);
      await server.stop();
      await expect(body).rejects.toThrow();
    });
  });

  it('takes another profile once nobody waits for the first', { timeout: 120_000 }, async () => {
    await withServer(['--enable-pprof'], async (server) => {
      const url = `${server.clientUrl}/debug/pprof/profile`;
      const leaving = new AbortController();
      await fetch(`${url}?seconds=300`, { signal: leaving.signal });
      leaving.abort();
      const other = await eventually(async () => {
        const answer = await fetch(`${url}?seconds=1`);
        return answer.status === 200 ? answer : undefined;
      }, 'the first profile is given up');
      const bytes = gunzipSync(Buffer.from(await other.arrayBuffer()));
      expect(Profile.decode(bytes).sampleType).toHaveLength(2);
    });
  });

  itWith(['pprof'], 'is read by the tool pprof over HTTP', { timeout: 120_000 }, async () => {
    await withServer(['--enable-pprof'], async (server) => {
      const url = `${server.clientUrl}/debug/pprof/heap`;
      const dir = mkdtempSync(join(tmpdir(), 'kvorum-pprof-'));
      try {
        const top = await exec(toolPath('pprof'), ['-top', url], { env: { PPROF_TMPDIR: dir } });
        expect(top.code, top.stderr).toBe(0);
        expect(top.stdout.toString('utf8')).toContain('Type: inuse_space');
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    });
  });

  it('writes the log that rotates to its last line', { timeout: 120_000 }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'kvorum-log-'));
    try {
      const rotation = '--log-rotation-config-json={"maxsize":1,"maxbackups":2}';
      const outputs = `--log-outputs=stderr,${join(dir, 'k.log')}`;
      const flags = ['--log-level=debug', '--enable-log-rotation', outputs, rotation];
      await withServer(flags, async (server) => {
        await server.stop();
        const log = readFileSync(join(dir, 'k.log'), 'utf8').trimEnd().split('\n');
        expect(log.map((line) => (JSON.parse(line) as { msg: string }).msg)).toContain('stopped');
      });
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
