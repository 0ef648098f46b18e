import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TlsPresented } from '../../src/common/index.js';
import { buildConfig, checkBootstrap, defaultConfig } from '../../src/server/options/config.js';
import { parseCommandLine } from '../../src/server/options/flags.js';
import { parseUrl } from '../../src/server/options/urls.js';
import { UsageError } from '../../src/server/options/usage-error.js';

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error('was accepted');
}

describe('defaults', () => {
  it('are those of etcd', () => {
    const config = defaultConfig();
    expect(config).toMatchObject({
      name: 'default',
      dataDir: 'default.etcd',
      heartbeatMs: 100,
      electionMs: 1000,
      quotaBytes: 2 * 1024 ** 3,
      requestBytesMax: 1_572_864,
      txnOpsMax: 128,
      autoCompaction: { mode: 'off' },
      logOutputs: ['stderr'],
      warnings: [],
      advertiseClientUrls: ['http://localhost:2379'],
    });
    expect(config.listenClientUrls[0]?.address).toEqual({ host: '127.0.0.1', port: 2379 });
    expect([...config.initialCluster]).toEqual([['default', ['http://localhost:2380']]]);
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('name the data directory and the cluster after the member', () => {
    const config = defaultConfig('--name=n1', '--initial-advertise-peer-urls=http://10.0.0.1:2380');
    expect(config.dataDir).toBe('n1.etcd');
    expect([...config.initialCluster]).toEqual([['n1', ['http://10.0.0.1:2380']]]);
    expect(() => checkBootstrap(config)).not.toThrow();
  });
});

describe('what must fit together', () => {
  it('advertised client URLs are required with own listen URLs, in etcd words', () => {
    expect(messageOf(() => defaultConfig('--listen-client-urls=http://0.0.0.0:2379'))).toMatch(
      /^--advertise-client-urls is required when --listen-client-urls is set explicitly/,
    );
  });

  it('never echoes what could garble a terminal', () => {
    const hostile = () => defaultConfig('--listen-client-urls', '\u202e');
    expect(hostile).toThrow(/advertise-client-urls=http:\/\/localhost:2379/);
  });

  it('election timeout and heartbeat', () => {
    expect(messageOf(() => defaultConfig('--election-timeout=499'))).toBe(
      '--election-timeout[499ms] should be at least as 5 times as --heartbeat-interval[100ms]',
    );
    expect(messageOf(() => defaultConfig('--election-timeout=50001'))).toBe(
      '--election-timeout[50001ms] is too long, and should be set less than 50000ms',
    );
    expect(defaultConfig('--election-timeout=500').electionMs).toBe(500);
    expect(defaultConfig('--election-timeout=50000').electionMs).toBe(50_000);
  });

  it('quota: 0 is 2 GiB, negative is none, much is warned about', () => {
    expect(defaultConfig('--quota-backend-bytes=0').quotaBytes).toBe(2 * 1024 ** 3);
    expect(defaultConfig('--quota-backend-bytes=-1').quotaBytes).toBe(Number.POSITIVE_INFINITY);
    expect(defaultConfig(`--quota-backend-bytes=${9 * 1024 ** 3}`).warnings[0]).toContain('8 GiB');
  });

  it.each([
    [['--auto-compaction-retention=1'], { mode: 'periodic', retentionMs: 3_600_000 }],
    [['--auto-compaction-retention=5m'], { mode: 'periodic', retentionMs: 300_000 }],
    [['--auto-compaction-retention=0'], { mode: 'off' }],
    [
      ['--auto-compaction-retention=7', '--auto-compaction-mode=revision'],
      { mode: 'revision', retentionRevisions: 7 },
    ],
  ])('auto compaction %j', (argv, expected) => {
    expect(defaultConfig(...argv).autoCompaction).toEqual(expected);
  });

  it.each([
    [['--auto-compaction-retention=x']],
    [['--auto-compaction-retention=-1h']],
    [['--auto-compaction-retention=5m', '--auto-compaction-mode=revision']],
    [['--feature-gates=Nope=true']],
    [['--feature-gates=AllAlpha']],
    [['--feature-gates=A=b=c']],
    [['--feature-gates=compacthashcheck=true']],
    [['--compact-hash-check-time=0s']],
    [['--cors=zz']],
    [['--cipher-suites=TLS_NULL']],
    [['--initial-cluster=']],
    [['--initial-cluster=a']],
    [['--initial-cluster=a=']],
    [['--initial-cluster==http://x:1']],
    [['--listen-peer-urls=']],
    [['--tls-min-version=TLS1.3', '--tls-max-version=TLS1.2']],
  ])('refuses %j', (argv) => {
    const flag = argv[0]?.slice(0, argv[0].indexOf('=')) ?? '';
    expect(messageOf(() => defaultConfig(...argv))).toContain(flag);
  });

  it('feature gates, as etcd reads them', () => {
    const on = (text: string) =>
      defaultConfig(`--feature-gates=${text}`)
        .featureGates.filter(({ enabled }) => enabled)
        .map(({ name }) => name);
    const beta = ['FastLeaseKeepAlive', 'TxnModeWriteWithSharedBuffer'];
    expect(on('')).toEqual(beta);
    expect(on(' CompactHashCheck = T , AllBeta=0')).toEqual(['CompactHashCheck']);
    expect(on('CompactHashCheck=true,CompactHashCheck=false')).toEqual(beta);
    expect(on('AllAlpha=1')).toHaveLength(10);
    expect(messageOf(() => on('LeaseCheckpointPersist=true'))).toBe(
      'enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint',
    );
    expect(on('LeaseCheckpointPersist=true,LeaseCheckpoint=true')).toHaveLength(4);
  });

  it('needs this member in the initial cluster, under the URLs it advertises', () => {
    const bootstrap = (...argv: string[]) =>
      messageOf(() => checkBootstrap(defaultConfig(...argv)));
    expect(bootstrap('--initial-cluster=a=http://127.0.0.1:2380')).toContain(
      'couldn\'t find local name "default" in the initial cluster configuration',
    );
    expect(bootstrap('--initial-cluster=default=http://127.0.0.1:9')).toContain(
      '--initial-cluster does not have default=http://localhost:2380',
    );
    expect(
      bootstrap('--initial-cluster=default=http://localhost:2380,default=http://10.0.0.9:7'),
    ).toContain('but missing from --initial-advertise-peer-urls');
    expect(
      bootstrap('--initial-cluster=default=http://localhost:2380,b=http://localhost:2380'),
    ).toContain('for two members');
    const long = '--initial-advertise-peer-urls=http://[0:0::1]:2380';
    const twoWays = defaultConfig('--initial-cluster=default=http://[::1]:2380', long);
    expect(() => checkBootstrap(twoWays)).not.toThrow();
    // Two names may be one machine: only DNS knows.
    const named = '--initial-cluster=default=http://node1:2380';
    expect(() => checkBootstrap(defaultConfig(named))).not.toThrow();
  });
});

describe('URLs', () => {
  it.each([
    ['http://localhost:2379', { host: '127.0.0.1', port: 2379 }],
    ['http://[::1]:2379', { host: '::1', port: 2379 }],
    ['https://10.0.0.1:1', { host: '10.0.0.1', port: 1 }],
    ['unix:///run/k.sock', { path: '/run/k.sock' }],
    ['unixs://k:1', { path: 'k:1' }],
    ['http://127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
  ])('reads %s', (text, address) => {
    expect(parseUrl(text)).toMatchObject({ text, address });
  });

  it.each([
    ['localhost:2379', 'scheme must be'],
    ['ftp://x:1', 'scheme must be'],
    ['http://x', 'host:port'],
    ['http://x:', 'host:port'],
    ['http://x:65536', 'host:port'],
    ['http://x:-1', 'host:port'],
    ['http://:2379', 'no valid host'],
    ['http://bücher:1', 'no valid host'],
    ['http://[::g]:1', 'no valid host'],
    ['http://a b:1', 'no valid host'],
    ['http://x:1/', 'must not contain a path'],
    ['http://x:1?a', 'must not contain a path'],
    ['http://u:p@x:1', 'user name or password'],
    ['unix://', 'socket file'],
    [`unix:///${'x'.repeat(200)}`, 'longer than'],
  ])('refuses %s', (text, why) => {
    expect(parseUrl(text)).toContain(why);
  });

  it('listens on addresses only, not on names', () => {
    expect(messageOf(() => defaultConfig('--listen-peer-urls=http://example.com:1'))).toContain(
      'expected IP in URL for binding (http://example.com:1)',
    );
  });
});

describe('TLS files', () => {
  let dir = '';
  const path = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', cwd: dir });

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-tls-'));
    const self = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    for (const name of ['a', 'b']) {
      const files = ['-keyout', `${name}.key`, '-out', `${name}.crt`];
      openssl(...self, ...files, '-subj', `/CN=${name}`, '-days', '2');
    }
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const configOf = (...argv: string[]) => {
    const read = (file: string) => readFileSync(file, 'utf8');
    const line = parseCommandLine(argv, {}, read);
    if (line.kind !== 'run') throw new Error(line.kind);
    return buildConfig(line.flags, read);
  };
  const pair = (cert: string, key: string, prefix = '') => [
    `--${prefix}cert-file=${path(cert)}`,
    `--${prefix}key-file=${path(key)}`,
  ];
  const https = ['--listen-client-urls=https://127.0.0.1:1', '--advertise-client-urls=https://a:1'];

  it('become one options object for each kind of port', () => {
    const ca = `--trusted-ca-file=${path('b.crt')}`;
    const config = configOf(...https, ...pair('a.crt', 'a.key'), ca);
    expect(config.clientTls?.listen).toMatchObject({
      requireClientCertificate: true,
      minVersion: 'TLSv1.2',
      cert: readFileSync(path('a.crt'), 'utf8'),
      ca: readFileSync(path('b.crt'), 'utf8'),
    });
    expect(config.peerTls).toBeUndefined();
  });

  it('may differ for calls to peers', () => {
    const own = ['peer-client-cert-file=b.crt', 'peer-client-key-file=b.key'].map((text) => {
      const [flag, file = ''] = text.split('=');
      return `--${flag}=${path(file)}`;
    });
    const { peerTls } = configOf(...pair('a.crt', 'a.key', 'peer-'), ...own);
    expect(peerTls?.listen.cert).toBe(readFileSync(path('a.crt'), 'utf8'));
    expect(peerTls?.dial.cert).toBe(readFileSync(path('b.crt'), 'utf8'));
  });

  it('translate IANA cipher names for OpenSSL', () => {
    const cipher = '--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256';
    const config = configOf(...https, ...pair('a.crt', 'a.key'), cipher);
    expect(config.clientTls?.listen.cipherSuites).toEqual(['ECDHE-RSA-AES128-GCM-SHA256']);
  });

  it('are checked at start, with a message that names the flag and not the key', () => {
    const bad = (...argv: string[]) => messageOf(() => configOf(...argv));
    expect(bad(...https)).toContain('https://127.0.0.1:1 needs TLS: give --cert-file');
    expect(bad('--cert-file=/nope')).toContain('--cert-file "/nope" can\'t be read: no such file');
    expect(bad(`--cert-file=${dir}`)).toContain('it is a directory');
    expect(bad(`--cert-file=${path('a.crt')}`)).toContain('must be given together');
    expect(bad(`--client-key-file=${path('a.key')}`)).toContain('must be given together');
    expect(bad(...pair('a.crt', 'b.key', 'client-'))).toContain('--client-key-file is not the key');
    expect(bad(...pair('a.crt', 'b.key'))).toContain('--key-file is not the key of --cert-file');
    expect(bad(...pair('a.key', 'a.key'))).toContain('--cert-file holds no PEM certificate');
    expect(bad(...pair('a.crt', 'a.crt'))).toContain('holds no unencrypted PEM private key');
  });

  it('warn when nothing is served with them', () => {
    expect(configOf(...pair('a.crt', 'a.key')).warnings[0]).toContain('without TLS although');
    expect(configOf('--client-cert-auth').warnings).toEqual([
      'http://localhost:2379 asks nobody for a certificate, being served without TLS',
    ]);
  });

  describe('made by the member itself', () => {
    const own = ['--auto-tls', '--data-dir=/d'];

    it('are kept where etcd keeps them, for the hosts of the URLs', () => {
      const peerUrls = '--listen-peer-urls=unixs:///s,https://[::1]:2,https://0.0.0.0:3';
      const { clientAutoTls, clientTls, peerAutoTls } = configOf(
        ...[...https, ...own, '--peer-auto-tls', '--self-signed-cert-validity=3', peerUrls],
        ...['--initial-advertise-peer-urls=https://m1.example:1', '--name=m'],
      );
      expect(clientTls).toBeUndefined();
      expect(clientAutoTls).toMatchObject({
        certPath: '/d/fixtures/client/cert.pem',
        keyPath: '/d/fixtures/client/key.pem',
        hosts: ['127.0.0.1', 'a'],
        validityMs: 3 * 365 * 24 * 3_600_000,
      });
      expect(peerAutoTls).toMatchObject({
        dir: '/d/fixtures/peer',
        hosts: ['0.0.0.0', '::1', 'localhost', 'm1.example'],
      });
    });

    it('are not made where files are given, which is said', () => {
      const config = configOf(...https, ...own, ...pair('a.crt', 'a.key'));
      expect(config.clientAutoTls).toBeUndefined();
      expect(config.clientTls?.listen.cert).toBe(readFileSync(path('a.crt'), 'utf8'));
      expect(config.warnings).toEqual(['--auto-tls is ignored: certificate files are given']);
      const peer = configOf('--peer-auto-tls', ...pair('a.crt', 'a.key', 'peer-'));
      expect(peer.warnings[0]).toBe('--peer-auto-tls is ignored: certificate files are given');
      expect(configOf('--auto-tls=f').clientAutoTls).toBeUndefined();
    });

    it('are believed by members, but clients of them are held to what else is asked for', () => {
      const pem = (name: string) => readFileSync(path(name), 'utf8');
      const files = (port: string) =>
        new Map([
          [`/d/fixtures/${port}/cert.pem`, pem('a.crt')],
          [`/d/fixtures/${port}/key.pem`, pem('a.key')],
        ]);
      const ca = `--trusted-ca-file=${path('b.crt')}`;
      const { clientAutoTls, peerAutoTls } = configOf(...https, ...own, '--peer-auto-tls', ca);
      expect(clientAutoTls?.open(files('client')).listen).toMatchObject({
        cert: pem('a.crt'),
        ca: pem('b.crt'),
        requireClientCertificate: true,
      });
      const peer = peerAutoTls?.open(files('peer'));
      expect(peer?.dial).toMatchObject({ cert: pem('a.crt'), insecureSkipVerify: true });
      expect(peer?.listen).toMatchObject({ requireClientCertificate: false });
      expect(peer?.listen).not.toHaveProperty('insecureSkipVerify');
    });

    it('are refused where they could not do what is asked for', () => {
      const bad = (...argv: string[]) => messageOf(() => configOf(...argv));
      expect(bad(...own, '--self-signed-cert-validity=0')).toContain('must be greater than 0');
      expect(configOf('--self-signed-cert-validity=0').warnings).toEqual([]);
      expect(bad('--peer-auto-tls', '--peer-client-cert-auth')).toContain('nobody vouches for');
      expect(bad(...own, '--trusted-ca-file=/nope')).toContain('--trusted-ca-file "/nope"');
    });
  });

  describe('that may be presented', () => {
    const [ca, peerCa] = ['', 'peer-'].map((port) => `--${port}trusted-ca-file=/ca`);
    const read = (file: string) => (file === '/ca' ? 'a.crt' : file);
    const config = (...argv: string[]) =>
      configOf(
        ...[...https, ...pair('a.crt', 'a.key'), ...pair('a.crt', 'a.key', 'peer-')],
        ...argv.map((word) => word.replace('=/ca', `=${path(read('/ca'))}`)),
      );
    const presented = (commonName: string, ...hosts: string[]): TlsPresented => ({
      serials: ['1'],
      commonName,
      hostNames: hosts,
      addresses: [],
      isFor: (host) => hosts.includes(host),
    });
    const denied = (what: string) => ({
      kind: 'certificate',
      reason: `client certificate authentication failed: ${what}`,
    });

    it.each([
      ['client', ca ?? ''],
      ['peer', peerCa ?? ''],
    ] as const)('have one of the names of the %s port', (port, authority) => {
      const name = port === 'client' ? 'clientTls' : 'peerTls';
      const byName = config(`--${port}-cert-allowed-cn=m1,m2`, authority)[name];
      // As in etcd it counts for calls to members, too.
      for (const end of [byName?.listen, byName?.dial]) {
        expect(end?.denial?.(presented('m2', 'x'))).toBeUndefined();
        expect(end?.denial?.(presented('m3', 'm1'))).toEqual(
          denied(`the common name "m3" is not in --${port}-cert-allowed-cn`),
        );
        expect(end?.denial?.(presented(''))).toBeDefined();
      }
      const byHost = config(`--${port}-cert-allowed-hostname=a,10.0.0.1`, authority)[name];
      expect(byHost?.listen.denial?.(presented('x', 'b', '10.0.0.1'))).toBeUndefined();
      expect(byHost?.listen.denial?.(presented('a', 'b'))).toEqual(
        denied(`it is for no host of --${port}-cert-allowed-hostname`),
      );
      expect(config(authority)[name]?.listen.denial).toBeUndefined();
    });

    it('are named in one way only, and only if somebody is asked for one', () => {
      const bad = (...argv: string[]) => messageOf(() => config(...argv));
      const both = ['--peer-cert-allowed-cn=a', '--peer-cert-allowed-hostname=b'];
      expect(bad(...both, peerCa ?? '')).toContain('mutually exclusive');
      expect(bad('--peer-cert-allowed-cn=a')).toContain('needs --peer-client-cert-auth or');
      expect(bad('--client-cert-allowed-hostname=a')).toContain('needs --client-cert-auth or');
    });

    it('are for where a member comes from, but not a client', () => {
      const { clientTls, peerTls } = config(ca ?? '', peerCa ?? '');
      expect(clientTls?.listen.checkClientAddress).toBeUndefined();
      expect(peerTls?.listen.checkClientAddress).toBe(true);
      const skipped = config('--peer-skip-client-san-verification', peerCa ?? '').peerTls;
      expect(skipped?.listen.checkClientAddress).toBeUndefined();
      // Nobody is asked for one.
      expect(config().peerTls?.listen.checkClientAddress).toBeUndefined();
    });
  });
});
