/** A member whose clients' sockets and TLS are in threads (--io-threads), as a process. */

import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { beforeAll, expect, it } from 'vitest';
import { asFailure, bytes, RawClient } from '../helpers/grpc.js';
import { freePort } from '../helpers/server.js';
import {
  type CertificateFiles,
  type Certificates,
  describeWithOpenssl,
  makeCertificates,
  pem,
} from './certificates.js';
import { anyPeerPort, endProgramsAfterEach, serve, temporaryDirectory } from './program.js';

endProgramsAfterEach();

describeWithOpenssl('a member with --io-threads', () => {
  let certificates: Certificates;

  beforeAll(() => {
    certificates = makeCertificates(temporaryDirectory());
  }, 60_000);

  it('serves gRPC and HTTP/1.1, refuses who is revoked, and ends in order', async () => {
    const { ca, client: good, crl, revoked, server } = certificates;
    const port = await freePort();
    const url = `https://127.0.0.1:${port}`;
    const program = await serve([
      ...['--io-threads', '1', '--data-dir', join(temporaryDirectory(), 'data')],
      ...['--cert-file', server.cert, '--key-file', server.key, '--trusted-ca-file', ca],
      ...['--client-crl-file', crl, '--client-cert-auth'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url, ...anyPeerPort],
    ]);
    const clientOf = ({ cert, key }: CertificateFiles): RawClient => {
      const credentials = grpc.credentials.createSsl(pem(ca), pem(key), pem(cert));
      return new RawClient(`127.0.0.1:${port}`, {}, credentials);
    };
    const client = clientOf(good);
    const value = Buffer.alloc(1_000_000, 7);
    for (let i = 0; i < 5; i++) await client.put({ key: bytes(`k${i}`), value });
    const { kvs } = await client.range({ key: bytes('k'), range_end: bytes('l') });
    expect(kvs.map((kv) => kv.value.equals(value))).toEqual([true, true, true, true, true]);
    const stranger = clientOf(revoked);
    const refused = await stranger.put({ key: bytes('k'), value }, { deadlineMs: 20_000 }).then(
      () => undefined,
      (error: unknown) => asFailure(error).code,
    );
    expect(refused).toBe(grpc.status.UNAVAILABLE);
    const refusal = await program.line('rejected connection on client endpoint');
    expect(refusal.error).toMatch(/revoked/);
    expect(await health(port)).toContain('"health":"true"');
    stranger.channel.close();
    client.channel.close();
    expect(await program.stop()).toBe('SIGTERM');
    expect(program.log.map(({ msg }) => msg)).toContain('stopped');
  });

  function health(port: number): Promise<string> {
    const { ca, client } = certificates;
    const { cert, key } = client;
    const tls = { ca: pem(ca), cert: pem(cert), key: pem(key), agent: false as const };
    return new Promise((resolve, reject) => {
      const request = httpsRequest(
        { ...tls, host: '127.0.0.1', port, path: '/health' },
        (reply) => {
          let body = '';
          reply.setEncoding('utf8').on('data', (text: string) => {
            body += text;
          });
          reply.once('end', () => resolve(body));
        },
      );
      request.once('error', reject).end();
    });
  }
});
