/** The certificate of --auto-tls: what it is, where it lies, when it is made anew. */

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildConfig } from '../../src/server/options/config.js';
import { parseCommandLine } from '../../src/server/options/flags.js';
import { AutoTlsPair } from '../../src/server/platform/auto-tls.js';
import { nodeClock } from '../../src/server/platform/clock-node.js';
import { nodeDisk } from '../../src/server/platform/disk-node.js';
import { makeSelfSigned } from '../../src/server/platform/self-signed.js';

const hourMs = 3_600_000;
const yearMs = 365 * 24 * hourMs;
const startMs = Date.UTC(2027, 0, 1);

describe('a generated certificate', () => {
  let dir: string;
  let nowMs: number;
  let log: string[];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-auto-'));
    nowMs = startMs;
    log = [];
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const made = 'automatically generate certificates';
  const at = (name: string): string => join(dir, 'data/fixtures/client', name);

  /** As at each start of the same member. */
  function start(flag = '--auto-tls'): AutoTlsPair {
    const argv = [flag, `--data-dir=${dir}/data`, '--self-signed-cert-validity=2'];
    const urls = ['--listen-client-urls=https://127.0.0.1:1,https://[::1]:1'];
    const advertised = '--advertise-client-urls=https://m1.example.com:1';
    const peer = flag === '--auto-tls' ? [] : ['--auto-tls'];
    const line = parseCommandLine([...argv, ...peer, ...urls, advertised], {}, () => '');
    if (line.kind !== 'run') throw new Error(line.kind);
    const config = buildConfig(line.flags, () => '');
    const auto = flag === '--auto-tls' ? config.clientAutoTls : config.peerAutoTls;
    if (auto === undefined) throw new Error('it is asked for');
    const tell = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
      log.push([message, fields?.reason].filter(Boolean).join(' | '));
    };
    const logger = { debug: tell, info: tell, warn: tell, error: tell };
    const clock = { ...nodeClock, wallMs: () => nowMs };
    return new AutoTlsPair(auto, { clock, disk: nodeDisk, logger });
  }

  it('is for the hosts of the URLs, for so many years, and its own authority', async () => {
    const { listen } = await start().open();
    const certificate = new X509Certificate(String(listen.cert));
    expect(certificate.subjectAltName?.split(', ').sort()).toEqual([
      'DNS:m1.example.com',
      'IP Address:0:0:0:0:0:0:0:1',
      'IP Address:127.0.0.1',
    ]);
    expect(Date.parse(certificate.validFrom)).toBe(startMs - hourMs);
    expect(Date.parse(certificate.validTo)).toBe(startMs + 2 * yearMs);
    expect(certificate.ca).toBe(true);
    expect(certificate.issuer).toBe('O=kvorum');
    expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    // In a certificate for members, the second one is as well.
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    const peer = await start('--peer-auto-tls').open();
    expect(new X509Certificate(String(peer.dial.cert)).keyUsage).toHaveLength(2);
    expect(peer.dial.insecureSkipVerify).toBe(true);
  });

  it('lies where etcd has it, and nobody else may read the key', async () => {
    const { listen } = await start().open();
    expect(readFileSync(at('cert.pem'), 'utf8')).toBe(listen.cert);
    expect(readFileSync(at('key.pem'), 'utf8')).toBe(listen.key);
    expect(statSync(at('key.pem')).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'data')).mode & 0o777).toBe(0o700);
    expect(log).toEqual([made]);
  });

  it('stays the same until its time is over, also over restarts', async () => {
    const running = start();
    const { listen } = await running.open();
    nowMs += 2 * yearMs - 1;
    await running.renew();
    expect((await start().open()).listen.cert).toBe(listen.cert);
    expect(log).toEqual([made]);
    nowMs += 1;
    await running.renew();
    const renewed = readFileSync(at('cert.pem'), 'utf8');
    expect(renewed).not.toBe(listen.cert);
    expect(new X509Certificate(renewed).validTo).toContain('2030');
    await running.renew();
    expect((await start().open()).listen.cert).toBe(renewed);
    expect(log).toEqual([made, made]);
  });

  const other = {
    hosts: ['x'],
    notBeforeMs: startMs,
    notAfterMs: startMs + yearMs,
    usage: 'server',
  } as const;

  it.each([
    ['the key of another', 'key.pem', undefined],
    ['a piece of one', 'cert.pem', '-----BEGIN CERTIFICATE-----\nAAAA'],
    ['nothing in it', 'key.pem', ''],
  ] as const)('is made anew if there is %s', async (_what, name, content) => {
    const before = await start().open();
    writeFileSync(at(name), content ?? (await makeSelfSigned(other)).key);
    const { listen } = await start().open();
    expect(listen.cert).not.toBe(before.listen.cert);
    expect(readFileSync(at('cert.pem'), 'utf8')).toBe(listen.cert);
    expect(log).toEqual([
      made,
      expect.stringContaining('a generated certificate is of no use | '),
      made,
    ]);
  });

  it('is made anew if one of its files is missing, or was being replaced', async () => {
    await start().open();
    rmSync(at('key.pem'));
    writeFileSync(at('key.pem.new'), 'half');
    await start().open();
    expect(log).toEqual([made, made]);
  });

  it('is not made where it can not be kept', async () => {
    writeFileSync(join(dir, 'data'), 'a file');
    await expect(start().open()).rejects.toMatchObject({ code: 'ENOTDIR' });
    expect(log).toEqual([]);
  });

  it('has a serial number of its own, positive and of 16 bytes', async () => {
    const two = await Promise.all([makeSelfSigned(other), makeSelfSigned(other)]);
    const serials = two.map(({ cert }) => new X509Certificate(cert).serialNumber);
    expect(new Set(serials).size).toBe(2);
    for (const serial of serials) expect(serial).toMatch(/^4[0-9A-F]{31}$/);
  });
});
