/**
 * h2spec (github.com/summerwind/h2spec), the conformance suite for RFC 9113 and RFC 7541, against
 * our server: not one failure, plain and over TLS. Its version is in h2spec/go.mod: the newest that
 * Go finds, since later tags have a go.mod that does not fit their number.
 */

import { execFile } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { describeWith, itWith, toolPath } from '../helpers/tools.js';
import { makeCertificates } from '../transport/support/certificates.js';
import { startServer } from '../transport/support/servers.js';

describeWith(['h2spec'], 'h2spec', () => {
  const servers: Array<{ close(): Promise<void> }> = [];

  afterAll(async () => {
    for (const server of servers) await server.close();
  });

  test('generic, http2 and hpack over plain TCP', async () => {
    // h2spec opens one stream more than is permitted.
    const { server, port } = await startServer({ limits: { concurrentStreamsMax: 100 } });
    servers.push(server);
    expect(await run(port, [])).toMatch(passed);
    expect(server.streamCount).toBe(0);
  });

  itWith(['openssl'], 'generic, http2 and hpack over TLS', {}, async () => {
    const { serverCert: cert, serverKey: key } = makeCertificates();
    const limits = { concurrentStreamsMax: 100 };
    const { server, port } = await startServer({ limits }, { cert, key });
    servers.push(server);
    expect(await run(port, ['--tls', '--insecure'])).toMatch(passed);
  });
});

const passed = /\n14\d tests, 14\d passed, 0 skipped, 0 failed\n/;

function run(port: number, more: readonly string[]): Promise<string> {
  const args = ['-h', '127.0.0.1', '-p', String(port), '-o', '5', ...more];
  return new Promise((resolve) => {
    const options = { maxBuffer: 64 * 1024 * 1024 };
    execFile(
      toolPath('h2spec'),
      [...args, 'generic', 'http2', 'hpack'],
      options,
      (_error, out, err) => {
        const failures = out.indexOf('\nFailures:');
        resolve(failures < 0 ? `${out.slice(-2_000)}${err}` : `${out.slice(failures)}${err}`);
      },
    );
  });
}
