/** SIGHUP, and authorities that change while a member runs; connections that are there live on. */

import { copyFileSync, writeFileSync } from 'node:fs';
import { connect as http2Connect } from 'node:http2';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { Authority, type CertificateFiles, describeWithOpenssl, pem } from './certificates.js';
import {
  anyPeerPort,
  endProgramsAfterEach,
  type Program,
  serve,
  temporaryDirectory,
} from './program.js';

endProgramsAfterEach();

describeWithOpenssl('a member that is told to read its files again', () => {
  let first: Authority;
  let second: Authority;
  let server: CertificateFiles;
  let early: CertificateFiles;
  let late: CertificateFiles;

  beforeAll(() => {
    first = new Authority(join(temporaryDirectory(), 'first'), 'first');
    second = new Authority(join(temporaryDirectory(), 'second'), 'second');
    server = first.issue('server', 'bothAuth');
    early = first.issue('early', 'clientAuth');
    late = second.issue('late', 'clientAuth');
  }, 60_000);

  function connect(program: Program, who: CertificateFiles) {
    const tls = { ca: pem(first.cert), cert: pem(who.cert), key: pem(who.key) };
    return http2Connect(program.clientUrls[0] ?? '', tls);
  }

  /** The status of /version on this session, or why there is none. */
  function version(session: ReturnType<typeof connect>): Promise<number | string> {
    return new Promise((resolve) => {
      session.once('error', (error) => resolve(String(error)));
      session.once('close', () => resolve('closed'));
      const request = session.request({ ':path': '/version' });
      request.on('error', (error) => resolve(String(error)));
      request.once('response', (headers) => resolve(Number(headers[':status'])));
      request.resume().end();
    });
  }

  async function once(program: Program, who: CertificateFiles): Promise<number | string> {
    const session = connect(program, who);
    const status = await version(session);
    session.destroy();
    return status;
  }

  /** Sends SIGHUP, and waits for that many more lines with this message. */
  async function hangUp(program: Program, message: string, count = 1): Promise<void> {
    const lines = (): number => program.log.filter(({ msg }) => msg === message).length;
    const wanted = lines() + count;
    program.signal('SIGHUP');
    for (let tries = 0; lines() < wanted && tries < 400; tries += 1) await sleep(25);
    expect(lines(), message).toBe(wanted);
  }

  it('does so at each SIGHUP, and ends nothing', async () => {
    const dir = temporaryDirectory();
    const ca = join(dir, 'ca.pem');
    copyFileSync(first.cert, ca);
    const program = await serve([
      ...['--data-dir', join(dir, 'data'), ...anyPeerPort, '--trusted-ca-file', ca],
      ...['--cert-file', server.cert, '--key-file', server.key],
      ...['--listen-client-urls', 'https://127.0.0.1:0'],
      ...['--advertise-client-urls', 'https://127.0.0.1:0'],
    ]);
    const old = connect(program, early);
    expect(await version(old)).toBe(200);
    expect(await once(program, late)).not.toBe(200);
    await hangUp(program, 'certificates are what they were');

    // Of what is of no use nothing is taken.
    writeFileSync(ca, 'no certificate\n');
    await hangUp(program, 'certificates can not be read again; those of before stay');
    expect(await once(program, early)).toBe(200);

    // The new authority counts; who is there may stay, but not come again.
    copyFileSync(second.cert, ca);
    await hangUp(program, 'certificates were read again');
    expect(await once(program, late)).toBe(200);
    expect(await once(program, early)).not.toBe(200);
    expect(await version(old)).toBe(200);
    old.destroy();
    expect(await program.stop()).toBe('SIGTERM');
  }, 60_000);

  it('says so if there is nothing to be read', async () => {
    const program = await serve([
      ...['--data-dir', join(temporaryDirectory(), 'data'), ...anyPeerPort],
      ...['--listen-client-urls', 'http://127.0.0.1:0'],
      ...['--advertise-client-urls', 'http://127.0.0.1:0'],
    ]);
    await hangUp(program, 'there are no certificates to be read again');
    await hangUp(program, 'there are no certificates to be read again');
    expect(await program.stop()).toBe('SIGTERM');
  });
});
