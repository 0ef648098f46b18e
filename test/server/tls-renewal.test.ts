import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  type Disk,
  type TlsOptions,
  type TlsPresented,
  tlsFileBytesMax,
  tlsFilesLookMs,
  tlsFilesWaitMsMax,
} from '../../src/common/index.js';
import { readTls } from '../../src/server/options/config-tls.js';
import { parseCommandLine } from '../../src/server/options/flags.js';
import { renewedTls } from '../../src/server/platform/tls-renewal.js';
import { SimClock } from '../../src/sim/index.js';
import { Authority, type CertificateFiles, describeWithOpenssl } from '../e2e/certificates.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-renewal-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describeWithOpenssl('renewedTls', () => {
  let first: CertificateFiles;
  let second: CertificateFiles;
  let list: Buffer;
  let emptyList: Buffer;
  let files: Map<string, Buffer | 'hangs'>;
  let opened: string[];
  let log: string[];
  let clock: SimClock;
  let unusable: string | undefined;
  let prepare: () => Promise<void>;
  let reread: () => Promise<void>;
  /** Holds up whoever opens the revocation list. */
  let gate: Promise<void> | undefined;

  beforeAll(() => {
    const authority = new Authority(join(dir, 'ca'), 'authority');
    first = authority.issue('first', 'serverAuth');
    second = authority.issue('second', 'serverAuth');
    emptyList = readFileSync(authority.crl('der'));
    authority.revoke(second.cert);
    list = readFileSync(authority.crl('der'));
  }, 60_000);

  beforeEach(() => {
    opened = [];
    log = [];
    clock = new SimClock();
    unusable = undefined;
    prepare = async () => {};
    gate = undefined;
    files = new Map([
      ['/cert', readFileSync(first.cert)],
      ['/key', readFileSync(first.key)],
      ['/crl', list],
    ]);
  });

  const disk = {
    async open(path: string) {
      opened.push(path);
      if (path === '/crl') await gate;
      const bytes = files.get(path);
      if (bytes === undefined) throw Object.assign(new Error(`${path}?`), { code: 'ENOENT' });
      if (bytes === 'hangs') return new Promise(() => {});
      return {
        size: async () => bytes.length,
        read: async (_offset: number, length: number) => bytes.subarray(0, length),
        close: async () => {},
      };
    },
  } as unknown as Disk;

  /** What listeners get of these files. */
  function listening(...more: string[]): TlsOptions & Required<Pick<TlsOptions, 'current'>> {
    const flags = ['--cert-file=/cert', '--key-file=/key', '--client-crl-file=/crl', ...more];
    const line = parseCommandLine(flags, {}, () => '');
    if (line.kind !== 'run') throw new Error(line.kind);
    const readFile = (path: string): Buffer => files.get(path) as Buffer;
    const tls = readTls('client', line.flags, readFile);
    if (tls === undefined) throw new Error('there is a certificate');
    const tell = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
      log.push([message, fields?.endpoint, fields?.reason].filter(Boolean).join(' | '));
    };
    const { listen, reread: read } = renewedTls(tls, undefined, {
      clock,
      disk,
      logger: { debug: tell, info: tell, warn: tell, error: tell },
      network: {
        checkTls() {
          if (unusable !== undefined) throw new Error(unusable);
        },
      },
      endpoint: 'client',
      prepare: () => prepare(),
    });
    reread = read;
    const { current } = listen;
    if (current === undefined) throw new Error('it does not look again');
    return { ...listen, current };
  }

  const replace = (pair: CertificateFiles): void => {
    files.set('/cert', readFileSync(pair.cert));
    files.set('/key', readFileSync(pair.key));
  };
  const presented = (...serials: string[]): TlsPresented => ({
    serials,
    commonName: '',
    hostNames: [],
    addresses: [],
    isFor: () => false,
  });
  const certOf = (pair: CertificateFiles): string => readFileSync(pair.cert, 'utf8');
  const stays = 'certificates can not be read again; those of before stay | client';

  it('looks at the files once for any number of handshakes, and then not for a while', async () => {
    const tls = listening();
    const asked = Array.from({ length: 1000 }, () => tls.current());
    const answers = await clock.runUntil(Promise.all(asked));
    expect(opened).toEqual(['/cert', '/key', '/crl']);
    expect(new Set(answers).size).toBe(1);
    replace(second);
    await clock.run(clock.nowMs() + tlsFilesLookMs - 1);
    // Not even a promise: it costs a handshake nothing.
    expect(tls.current()).toBe(answers[0]);
    expect(opened).toHaveLength(3);
    await clock.run(clock.nowMs() + 1);
    const renewed = await clock.runUntil(Promise.resolve(tls.current()));
    expect(renewed.cert).toBe(certOf(second));
    expect(opened).toHaveLength(6);
    expect(log).toEqual(['certificates were read again | client']);
    await clock.run(clock.nowMs() + tlsFilesLookMs);
    expect(await clock.runUntil(Promise.resolve(tls.current()))).toBe(renewed);
    expect(log).toHaveLength(1);
  });

  it('keeps what it has while files are of no use, and says so once', async () => {
    const tls = listening();
    const look = async (): Promise<TlsOptions> => {
      await clock.run(clock.nowMs() + tlsFilesLookMs);
      return clock.runUntil(Promise.resolve(tls.current()));
    };
    let before = await look();
    const wrongs: ReadonlyArray<readonly [string, Buffer | undefined, string]> = [
      ['/cert', readFileSync(second.cert), '--key-file is not the key of --cert-file'],
      ['/cert', Buffer.alloc(0), '--cert-file holds no PEM certificate'],
      ['/key', readFileSync(first.key).subarray(0, 50), 'holds no unencrypted PEM private key'],
      ['/key', undefined, '--key-file "/key" can\'t be read: no such file'],
      ['/crl', list.subarray(0, 40), '--client-crl-file "/crl" can\'t be used: it is no'],
      ['/crl', undefined, '--client-crl-file "/crl" can\'t be read: no such file'],
      ['/crl', Buffer.alloc(tlsFileBytesMax + 1), 'is larger than'],
    ];
    for (const [path, content, reason] of wrongs) {
      const good = files.get(path) as Buffer;
      log = [];
      if (content === undefined) files.delete(path);
      else files.set(path, content);
      for (let looks = 0; looks < 3; looks += 1) expect(await look(), reason).toBe(before);
      expect(log, reason).toEqual([expect.stringContaining(reason)]);
      expect(log[0]).toContain(stays);
      files.set(path, good);
      before = await look();
      expect(before.cert).toBe(certOf(first));
    }
  });

  it('keeps what it has if TLS would not take what there is now', async () => {
    const tls = listening();
    const before = await clock.runUntil(Promise.resolve(tls.current()));
    replace(second);
    unusable = 'ee key too small';
    await clock.run(clock.nowMs() + tlsFilesLookMs);
    expect(await clock.runUntil(Promise.resolve(tls.current()))).toBe(before);
    expect(log).toEqual([`${stays} | ee key too small`]);
  });

  it('lets handshakes go on while the disk hangs', async () => {
    const tls = listening();
    files.set('/key', 'hangs');
    const startMs = clock.nowMs();
    const answers = [tls.current(), tls.current()].map((answer) => Promise.resolve(answer));
    for (const answer of await clock.runUntil(Promise.all(answers))) {
      expect(answer.cert).toBe(certOf(first));
    }
    expect(clock.nowMs() - startMs).toBe(tlsFilesWaitMsMax);
    expect(log).toEqual([`${stays} | reading them takes more than ${tlsFilesWaitMsMax} ms`]);
    const waitedUntilMs = clock.nowMs();
    await clock.runUntil(Promise.resolve(tls.current()));
    expect(clock.nowMs()).toBe(waitedUntilMs);
    expect(log).toHaveLength(1);
    expect(opened).toEqual(['/cert', '/key']);
  });

  it('refuses what the list of now has', async () => {
    files.set('/crl', emptyList);
    const tls = listening();
    const serial = '1001';
    const before = await clock.runUntil(Promise.resolve(tls.current()));
    expect(before.denial?.(presented(serial))).toBeUndefined();
    files.set('/crl', list);
    await clock.run(clock.nowMs() + tlsFilesLookMs);
    const now = await clock.runUntil(Promise.resolve(tls.current()));
    expect(now.denial?.(presented('1000'))).toBeUndefined();
    expect(now.denial?.(presented('1000', serial))).toEqual({
      kind: 'revoked',
      reason: 'certificate serial 1001 is revoked',
    });
  });

  it('believes the authorities of now, and those of before while there are none', async () => {
    files.set('/ca', readFileSync(first.cert));
    const tls = listening('--trusted-ca-file=/ca');
    const look = async (): Promise<TlsOptions> => {
      await clock.run(clock.nowMs() + tlsFilesLookMs);
      return clock.runUntil(Promise.resolve(tls.current()));
    };
    expect((await look()).ca).toBe(certOf(first));
    files.set('/ca', Buffer.from('no certificate'));
    expect((await look()).ca).toBe(certOf(first));
    expect(log).toEqual([`${stays} | --trusted-ca-file holds no PEM certificate`]);
    files.set('/ca', Buffer.concat([readFileSync(first.cert), readFileSync(second.cert)]));
    const now = await look();
    expect(now.ca).toBe(certOf(first) + certOf(second));
    expect(now.requireClientCertificate).toBe(true);
    expect(log.at(-1)).toBe('certificates were read again | client');
  });

  it('looks at once when it is told to, and says what came of it each time', async () => {
    const tls = listening();
    await clock.runUntil(reread());
    expect(log).toEqual(['certificates are what they were | client']);
    replace(second);
    await clock.runUntil(reread());
    expect(log.at(-1)).toBe('certificates were read again | client');
    // No handshake has to look for a while.
    expect((tls.current() as TlsOptions).cert).toBe(certOf(second));
    files.delete('/key');
    for (let times = 0; times < 2; times += 1) {
      await clock.runUntil(reread());
      expect(log.at(-1)).toMatch(/^certificates can not be read again.*"\/key" can't be read/);
    }
    expect(log).toHaveLength(4);
    expect((tls.current() as TlsOptions).cert).toBe(certOf(second));
  });

  it('sees what was replaced after a look had begun', async () => {
    const tls = listening();
    let goOn = (): void => {};
    gate = new Promise((resolve) => {
      goOn = resolve;
    });
    const asked = Promise.resolve(tls.current());
    await clock.run(clock.nowMs() + 1);
    expect(opened).toEqual(['/cert', '/key', '/crl']);
    replace(second);
    const told = reread();
    goOn();
    await clock.runUntil(Promise.all([asked, told]));
    expect((tls.current() as TlsOptions).cert).toBe(certOf(second));
  });

  it('says it the first time if files changed between the start and the first look', async () => {
    const tls = listening();
    replace(second);
    const now = await clock.runUntil(Promise.resolve(tls.current()));
    expect(now.cert).toBe(certOf(second));
    expect(log).toEqual(['certificates were read again | client']);
  });

  it('goes on with what there is if nothing new can be made, and says so once', async () => {
    const tls = listening();
    prepare = async () => {
      throw new Error('no space left on device');
    };
    for (let looks = 0; looks < 3; looks += 1) {
      const now = await clock.runUntil(Promise.resolve(tls.current()));
      expect(now.cert).toBe(certOf(first));
      await clock.run(clock.nowMs() + tlsFilesLookMs);
    }
    expect(log).toEqual([`${stays} | no space left on device`]);
  });
});
