/**
 * h2spec (github.com/summerwind/h2spec), the conformance suite for RFC 9113 and RFC 7541, against
 * our server: not one failure, plain and over TLS. Built from source once, into a cache folder.
 */

import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../helpers/tools.js';
import { haveOpenssl, makeCertificates } from '../transport/support/certificates.js';
import { startServer } from '../transport/support/servers.js';

// The newest that `go install` finds: later tags have a go.mod that does not fit their number.
const version = 'v2.2.1+incompatible';
const cacheDir = join(tmpdir(), `kvorum-h2spec-${version}`);
const h2spec = join(cacheDir, 'h2spec');

describeWith(['go'], `h2spec ${version}`, () => {
  const servers: Array<{ close(): Promise<void> }> = [];

  beforeAll(() => {
    if (existsSync(h2spec)) return;
    mkdirSync(cacheDir, { recursive: true });
    const built = spawnSync(
      'go',
      ['install', `github.com/summerwind/h2spec/cmd/h2spec@${version}`],
      {
        env: { ...process.env, GOBIN: cacheDir },
        encoding: 'utf8',
      },
    );
    if (built.status !== 0) throw new Error(`h2spec could not be built: ${built.stderr}`);
  }, 300_000);

  afterAll(async () => {
    for (const server of servers) await server.close();
  });

  test('generic, http2 and hpack over plain TCP', async () => {
    // h2spec opens one stream more than is permitted.
    const { server, port } = await startServer({ limits: { concurrentStreamsMax: 100 } });
    servers.push(server);
    expect(await run(port, [])).toMatch(passed);
    expect(server.streamCount).toBe(0);
  }, 120_000);

  test.skipIf(!haveOpenssl)(
    'generic, http2 and hpack over TLS',
    async () => {
      const { serverCert: cert, serverKey: key } = makeCertificates();
      const limits = { concurrentStreamsMax: 100 };
      const { server, port } = await startServer({ limits }, { cert, key });
      servers.push(server);
      expect(await run(port, ['--tls', '--insecure'])).toMatch(passed);
    },
    120_000,
  );
});

const passed = /\n14\d tests, 14\d passed, 0 skipped, 0 failed\n/;

function run(port: number, more: readonly string[]): Promise<string> {
  const args = ['-h', '127.0.0.1', '-p', String(port), '-o', '5', ...more];
  return new Promise((resolve) => {
    const options = { maxBuffer: 64 * 1024 * 1024 };
    execFile(h2spec, [...args, 'generic', 'http2', 'hpack'], options, (_error, out, err) => {
      const failures = out.indexOf('\nFailures:');
      resolve(failures < 0 ? `${out.slice(-2_000)}${err}` : `${out.slice(failures)}${err}`);
    });
  });
}
