/** Certificates, keys and revocation lists on disk: their forms, and that they may change. */

import { X509Certificate } from 'node:crypto';
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../helpers/server.js';
import { Authority, type CertificateFiles, describeWithOpenssl, pem } from './certificates.js';
import { endProgramsAfterEach, type Program, run, serve, temporaryDirectory } from './program.js';

endProgramsAfterEach();

describeWithOpenssl('TLS files', () => {
  let authority: Authority;
  let server: CertificateFiles;
  let renewed: CertificateFiles;
  let good: CertificateFiles;
  let bad: CertificateFiles;
  /** Lists in all forms that have `bad` on them, and an empty one. */
  let lists: Readonly<Record<'empty' | 'pem' | 'der' | 'overdue' | 'overdueDer', string>>;

  beforeAll(() => {
    authority = new Authority(join(temporaryDirectory(), 'ca'), 'authority');
    server = authority.issue('server', 'bothAuth');
    renewed = authority.issue('renewed', 'bothAuth');
    good = authority.issue('good', 'bothAuth');
    bad = authority.issue('bad', 'bothAuth');
    const empty = authority.crl();
    authority.revoke(bad.cert);
    lists = {
      empty,
      pem: authority.crl(),
      der: authority.crl('der'),
      overdue: authority.crl('pem', true),
      overdueDer: authority.crl('der', true),
    };
  }, 60_000);

  /** Flags of a member with TLS on all its ports, and the files they name, to be replaced. */
  function memberFiles(list: string) {
    const dir = temporaryDirectory();
    const at = (name: string): string => join(dir, name);
    copyFileSync(server.cert, at('cert.pem'));
    copyFileSync(server.key, at('key.pem'));
    copyFileSync(list, at('crl'));
    const pair = ['cert-file', at('cert.pem'), 'key-file', at('key.pem')];
    const shared = [...pair, 'trusted-ca-file', authority.cert];
    const flags = (prefix: string): string[] =>
      shared.map((word, i) => (i % 2 === 0 ? `--${prefix}${word}` : word));
    return {
      at,
      args: [
        ...['--data-dir', at('data'), ...flags(''), ...flags('peer-')],
        ...['--client-crl-file', at('crl'), '--peer-crl-file', at('crl')],
      ],
      /** Replaces it at once, as tools do that know what they are doing. */
      replace(name: string, content: string): void {
        copyFileSync(content, at('new'));
        renameSync(at('new'), at(name));
      },
    };
  }

  const clientFlags = ['--listen-client-urls', 'https://127.0.0.1:0'].concat(
    '--advertise-client-urls',
    'https://127.0.0.1:0',
  );

  /** Of a member alone. */
  async function aloneFlags(): Promise<string[]> {
    const peerUrl = `https://127.0.0.1:${await freePort()}`;
    const peer = ['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl];
    return [...clientFlags, ...peer, '--name', 'a', '--initial-cluster', `a=${peerUrl}`];
  }

  /** Status of GET /version, or why there is none. */
  function version(port: number, who: CertificateFiles): Promise<number | string> {
    return new Promise((resolve) => {
      const tls = { ca: pem(authority.cert), cert: pem(who.cert), key: pem(who.key) };
      const options = { ...tls, host: '127.0.0.1', port, path: '/version', agent: false };
      const request = httpsRequest(options, (response) => {
        response.resume().once('end', () => resolve(response.statusCode ?? 0));
      });
      request.once('error', (error) => resolve(String(error))).end();
    });
  }

  /** The serial number that a listener shows. */
  function serialAt(port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const tls = { ca: pem(authority.cert), cert: pem(good.cert), key: pem(good.key) };
      const socket = tlsConnect({ ...tls, host: '127.0.0.1', port }, () => {
        resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
        socket.destroy();
      });
      socket.once('error', reject);
    });
  }

  /** True if TLS leads somewhere: the listener sends its SETTINGS. */
  function admits(port: number, who: CertificateFiles): Promise<boolean> {
    return new Promise((resolve) => {
      const tls = { ca: pem(authority.cert), cert: pem(who.cert), key: pem(who.key) };
      const options = { ...tls, host: '127.0.0.1', port, ALPNProtocols: ['h2'] };
      const socket = tlsConnect(options, () => {
        socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
      });
      socket.once('data', () => {
        resolve(true);
        socket.destroy();
      });
      socket.on('error', () => {}).once('close', () => resolve(false));
    });
  }

  const serialOf = ({ cert }: CertificateFiles): string =>
    new X509Certificate(readFileSync(cert)).serialNumber;

  async function until(what: string, look: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < 200; tries += 1) {
      if (await look()) return;
      await sleep(100);
    }
    throw new Error(`never: ${what}`);
  }

  const portOf = (program: Program): number => Number(new URL(program.clientUrls[0] ?? '').port);

  describe('a revocation list', () => {
    it.each([
      ['pem', 'in PEM'],
      ['der', 'in DER, as etcd wants it'],
      ['overdue', 'in PEM, when the next one is overdue'],
      ['overdueDer', 'in DER, when the next one is overdue'],
    ] as const)('counts: %s, %s', async (list, _form) => {
      const { args } = memberFiles(lists[list]);
      const member = await serve([...args, ...(await aloneFlags())]);
      expect(await version(portOf(member), good)).toBe(200);
      expect(await version(portOf(member), bad)).toMatch(/Error/);
      expect(await version(portOf(member), good)).toBe(200);
    });

    it('that can not be used ends the start with a line that names flag and file', async () => {
      const { args, at } = memberFiles(lists.pem);
      writeFileSync(at('crl'), readFileSync(lists.der).subarray(0, 100));
      const member = run([...args, ...(await aloneFlags())]);
      expect(await member.ended).toBe(2);
      expect(member.stderr).toBe(
        `kvorum: --client-crl-file "${at('crl')}" can't be used: ` +
          'it is no revocation list, or damaged at byte 0\n',
      );
    });
  });

  it('are read again while running, on every listener and for calls to members', async () => {
    const files = memberFiles(lists.empty);
    const [peerPort, metricsPort] = [await freePort(), await freePort()];
    // The other member is this test: it sees what the member shows when it calls.
    const shown: string[] = [];
    const both = { ca: pem(authority.cert), cert: pem(good.cert), key: pem(good.key) };
    const other = createServer({ ...both, requestCert: true }, (socket: TLSSocket) => {
      shown.push(socket.getPeerX509Certificate()?.serialNumber ?? '');
      socket.on('error', () => {}).destroy();
    });
    other.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      const own = `https://127.0.0.1:${peerPort}`;
      const otherUrl = `https://127.0.0.1:${(other.address() as AddressInfo).port}`;
      const member = await serve([
        ...[...files.args, ...clientFlags, '--name', 'a'],
        ...['--listen-metrics-urls', `https://127.0.0.1:${metricsPort}`],
        ...['--listen-peer-urls', own, '--initial-advertise-peer-urls', own],
        ...['--initial-cluster', `a=${own},b=${otherUrl}`],
      ]);
      const clientPort = portOf(member);
      const ports = [clientPort, metricsPort, peerPort];
      const warnings = () => member.log.filter(({ msg }) => String(msg).includes('of before stay'));
      for (const port of ports) {
        expect(await serialAt(port)).toBe(serialOf(server));
        expect(await admits(port, bad), `port ${port}`).toBe(true);
      }
      await until('a call to the other member', async () => shown.includes(serialOf(server)));

      // Half of it: the certificate of before stays, and says so.
      files.replace('cert.pem', renewed.cert);
      await until('a warning', async () => {
        expect(await serialAt(clientPort)).toBe(serialOf(server));
        return warnings().some(({ reason }) => String(reason).includes('is not the key of'));
      });
      files.replace('key.pem', renewed.key);
      for (const port of ports) {
        await until(
          'the new certificate',
          async () => (await serialAt(port)) === serialOf(renewed),
        );
      }
      await until('a call with it', async () => shown.includes(serialOf(renewed)));

      // Two halves of a list, and then the whole.
      const whole = readFileSync(lists.der);
      writeFileSync(files.at('crl'), whole.subarray(0, whole.length / 2));
      await until('a warning', async () => {
        expect(await admits(clientPort, bad)).toBe(true);
        return warnings().some(({ reason }) => String(reason).includes('crl'));
      });
      writeFileSync(files.at('crl'), whole);
      for (const port of ports) {
        await until('a refusal', async () => !(await admits(port, bad)));
        expect(await admits(port, good), `port ${port}`).toBe(true);
      }

      // A list that is gone is no pardon.
      renameSync(files.at('crl'), files.at('gone'));
      const before = warnings().length;
      await until('a warning', async () => {
        expect(await admits(clientPort, bad)).toBe(false);
        return warnings().length > before;
      });
      expect(await admits(clientPort, bad)).toBe(false);

      await member.line('certificates were read again');
    } finally {
      other.close();
    }
  }, 120_000);
});
