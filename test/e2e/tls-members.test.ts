/** Which members are let in by their certificates, and members that make their own. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { freePort } from '../helpers/server.js';
import { itWith, toolPath } from '../helpers/tools.js';
import { Authority, type CertificateFiles, describeWithOpenssl, pem } from './certificates.js';
import { endProgramsAfterEach, type Program, run, serve, temporaryDirectory } from './program.js';

endProgramsAfterEach();

const anyClientPort = ['--listen-client-urls', 'http://127.0.0.1:0'].concat(
  '--advertise-client-urls',
  'http://127.0.0.1:0',
);

/** Flags of each of `count` members at https:// peer URLs. */
async function memberFlags(count: number): Promise<string[][]> {
  const urls: string[] = [];
  for (let i = 0; i < count; i += 1) urls.push(`https://127.0.0.1:${await freePort()}`);
  const all = urls.map((url, i) => `m${i}=${url}`).join(',');
  return urls.map((url, i) => [
    ...['--name', `m${i}`, '--data-dir', join(temporaryDirectory(), 'data')],
    ...['--listen-peer-urls', url, '--initial-advertise-peer-urls', url],
    ...['--initial-cluster', all],
  ]);
}

async function putAndGet(client: RawClient): Promise<string> {
  try {
    await client.put({ key: bytes('k'), value: bytes('v') });
    const found = await client.range({ key: bytes('k') });
    return found.kvs[0]?.value.toString() ?? '';
  } finally {
    client.close();
  }
}

describeWithOpenssl('a member with a certificate', () => {
  let authority: Authority;
  let here: CertificateFiles;
  let elsewhere: CertificateFiles;

  beforeAll(() => {
    authority = new Authority(join(temporaryDirectory(), 'ca'), 'authority');
    here = authority.issue('here', 'bothAuth');
    elsewhere = authority.issue('elsewhere', 'elsewhere');
  }, 60_000);

  const tlsFlags = (own: CertificateFiles, caller = own): string[] => [
    ...['--peer-cert-file', own.cert, '--peer-key-file', own.key],
    ...['--peer-client-cert-file', caller.cert, '--peer-client-key-file', caller.key],
    ...['--peer-trusted-ca-file', authority.cert, '--peer-client-cert-auth'],
  ];

  /** The log line of a refusal. */
  async function refusal(program: Program, error: RegExp) {
    for (let tries = 0; tries < 400; tries += 1) {
      const found = program.log.find(
        (line) =>
          line.msg === 'rejected connection on peer endpoint' && error.test(String(line.error)),
      );
      if (found !== undefined) return found;
      await sleep(50);
    }
    throw new Error(`no refusal in:\n${program.stderr}`);
  }

  it('that is for another machine is not let in, unless that is not to be looked at', async () => {
    // Both listen with a good one, and call with one that is for another address.
    const skip = '--peer-skip-client-san-verification';
    const [a = [], b = []] = await memberFlags(2);
    const flags = [...anyClientPort, ...tlsFlags(here, elsewhere)];
    const strict = run([...a, ...flags]);
    const other = run([...b, ...flags]);
    expect(await refusal(strict, /certificate is valid for 10\.9\.9\.9, not 127/)).toMatchObject({
      level: 'warn',
      'remote-addr': expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      'ip-addresses': ['10.9.9.9'],
      'dns-names': [],
    });
    await refusal(other, /certificate is valid for 10\.9\.9\.9, not 127/);
    await Promise.all([strict.kill(), other.kill()]);
    const [c = [], d = []] = await memberFlags(2);
    const [free] = await Promise.all([c, d].map((own) => serve([...own, ...flags, skip])));
    expect(await putAndGet(new RawClient(free?.endpoint() ?? ''))).toBe('v');
  }, 90_000);

  it.each([
    ['--peer-cert-allowed-cn', 'here', 'another', /the common name "here" is not in/],
    ['--peer-cert-allowed-hostname', '127.0.0.1', 'b.example.com', /it is for no host of/],
  ])(
    'is let in by %s=%s and not by %s',
    async (flag, good, bad, error) => {
      const [a = [], b = []] = await memberFlags(2);
      const flags = [...anyClientPort, ...tlsFlags(here)];
      const [first] = await Promise.all(
        [a, b].map((own) => serve([...own, ...flags, flag, `other,${good}`])),
      );
      expect(await putAndGet(new RawClient(first?.endpoint() ?? ''))).toBe('v');
      const [c = [], d = []] = await memberFlags(2);
      const strict = run([...c, ...flags, flag, bad]);
      run([...d, ...flags]);
      await refusal(strict, error);
    },
    90_000,
  );

  it('of a client counts by name and host on the client port', async () => {
    const clientTls = ['--cert-file', here.cert, '--key-file', here.key];
    const urls = 'https://localhost:0';
    const listen = ['--listen-client-urls', urls, '--advertise-client-urls', urls];
    const mutual = [...clientTls, '--trusted-ca-file', authority.cert, ...listen];
    const dial = (program: Program, who: CertificateFiles): Promise<string> => {
      const tls = [pem(authority.cert), pem(who.key), pem(who.cert)] as const;
      const client = new RawClient(program.endpoint(), {}, grpc.credentials.createSsl(...tls));
      return putAndGet(client).catch(() => 'refused');
    };
    for (const allowed of [
      ['--client-cert-allowed-cn', 'here'],
      ['--client-cert-allowed-hostname', 'localhost'],
    ]) {
      const peer = ['--listen-peer-urls', 'http://127.0.0.1:0'];
      const dataDir = ['--data-dir', join(temporaryDirectory(), 'data')];
      const program = await serve([...dataDir, ...peer, ...mutual, ...allowed]);
      expect(await dial(program, here), allowed[0]).toBe('v');
      // A client is not held to where it comes from; but this one has neither name nor host.
      expect(await dial(program, elsewhere), allowed[0]).toBe('refused');
      await program.kill();
    }
  }, 60_000);
});

describe('a member that makes its own certificates', () => {
  const secureUrls = ['--listen-client-urls', 'https://localhost:0'].concat(
    '--advertise-client-urls',
    'https://localhost:0',
  );
  const auto = [...secureUrls, '--auto-tls', '--peer-auto-tls'];

  const dataDirOf = (flags: readonly string[]): string =>
    flags[flags.indexOf('--data-dir') + 1] ?? '';
  const ownCertificate = (flags: readonly string[]): string =>
    join(dataDirOf(flags), 'fixtures/client/cert.pem');

  function version(program: Program, ca: Buffer): Promise<number | string> {
    const { hostname: host, port } = new URL(program.clientUrls[0] ?? '');
    return new Promise((resolve) => {
      const options = { host, port, path: '/version', ca, agent: false };
      httpsRequest(options, (response) => resolve(response.resume().statusCode ?? 0))
        .once('error', (error) => resolve(String(error)))
        .end();
    });
  }

  it('forms a cluster with others of its kind, and keeps them over a restart', async () => {
    const all = await memberFlags(3);
    const programs = await Promise.all(all.map((flags) => serve([...flags, ...auto])));
    const [first, second] = programs;
    const certificates = all.map((flags) => pem(ownCertificate(flags)));
    const firstCertificate = certificates[0] ?? Buffer.alloc(0);
    if (first === undefined || second === undefined) throw new Error('three were started');
    const credentials = grpc.credentials.createSsl(firstCertificate);
    expect(await putAndGet(new RawClient(first.endpoint(), {}, credentials))).toBe('v');
    // Each has its own.
    expect(await version(first, firstCertificate)).toBe(200);
    expect(await version(second, firstCertificate)).not.toBe(200);
    expect(first.log.filter(({ msg }) => msg === 'automatically generate certificates')).toEqual([
      expect.objectContaining({ level: 'warn', endpoint: 'client' }),
      expect.objectContaining({ level: 'warn', endpoint: 'peer' }),
    ]);
    // The peer port speaks TLS as well.
    const [flags = []] = all;
    const peer = new URL(flags[flags.indexOf('--listen-peer-urls') + 1] ?? '');
    const shown = await new Promise<string>((resolve, reject) => {
      const at = { host: peer.hostname, port: Number(peer.port), rejectUnauthorized: false };
      const socket = tlsConnect(at, () => {
        resolve(socket.getPeerX509Certificate()?.toString() ?? '');
        socket.destroy();
      });
      socket.once('error', reject);
    });
    expect(shown).toBe(readFileSync(join(dataDirOf(flags), 'fixtures/peer/cert.pem'), 'utf8'));

    expect(await first.stop()).toBe('SIGTERM');
    const again = await serve([...flags, ...auto]);
    expect(await version(again, firstCertificate)).toBe(200);
    expect(again.log.some(({ msg }) => String(msg).includes('generate'))).toBe(false);
  }, 90_000);

  itWith(['etcdctl'], 'is spoken to by etcdctl, believed and not', {}, async () => {
    const [flags = []] = await memberFlags(1);
    const program = await serve([...flags, ...auto]);
    const etcdctl = async (...args: string[]): Promise<string> => {
      const common = ['--endpoints', program.clientUrls[0] ?? '', '--command-timeout', '5s'];
      const { code, stdout } = await exec(toolPath('etcdctl'), [...common, ...args]);
      return `${code} ${stdout}`;
    };
    expect(await etcdctl('--cacert', ownCertificate(flags), 'put', 'a', 'b')).toBe('0 OK\n');
    expect(await etcdctl('--insecure-skip-tls-verify', 'get', 'a')).toBe('0 a\nb\n');
    expect(await etcdctl('get', 'a')).not.toMatch(/^0 /);
  });

  it('asks clients for certificates all the same if it is told to', async () => {
    const authority = new Authority(join(temporaryDirectory(), 'ca'), 'authority');
    const alice = authority.issue('alice', 'clientAuth');
    const [flags = []] = await memberFlags(1);
    const program = await serve([...flags, ...auto, '--trusted-ca-file', authority.cert]);
    const own = pem(ownCertificate(flags));
    const dial = (...pair: readonly Buffer[]): Promise<string> => {
      const credentials = grpc.credentials.createSsl(own, pair[0] ?? null, pair[1] ?? null);
      const client = new RawClient(program.endpoint(), {}, credentials);
      return putAndGet(client).catch(() => 'refused');
    };
    expect(await dial()).toBe('refused');
    expect(await dial(pem(alice.key), pem(alice.cert))).toBe('v');
  });

  it('puts nothing into a directory of etcd', async () => {
    const [flags = []] = await memberFlags(1);
    const member = join(dataDirOf(flags), 'member');
    mkdirSync(join(member, 'snap'), { recursive: true });
    writeFileSync(join(member, 'snap/db'), '');
    const program = run([...flags, ...auto]);
    expect(await program.ended).toBe(1);
    expect(program.stderr).toContain('is a directory of etcd');
    expect(readdirSync(dataDirOf(flags))).toEqual(['member']);
  });
});
