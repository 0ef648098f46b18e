import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildConfig, type ServerConfig } from '../../src/server/options/config.js';
import { flagGroups } from '../../src/server/options/flag-spec.js';
import { parseGoDuration } from '../../src/server/options/flag-value.js';
import { parseCommandLine } from '../../src/server/options/flags.js';
import { environmentName, flagByName, flagTable } from '../../src/server/options/flags-table.js';
import { didYouMean, quote, UsageError } from '../../src/server/options/usage-error.js';
import { etcdFlags } from './etcd-flags.js';

const noFiles = (path: string): string => {
  throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
};

function configOf(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  files: Readonly<Record<string, string>> = {},
): ServerConfig {
  // Not what every object has: there is no file called toString.
  const read = (path: string) =>
    Object.hasOwn(files, path) ? (files[path] ?? noFiles(path)) : noFiles(path);
  const line = parseCommandLine(argv, env, read);
  if (line.kind !== 'run') throw new Error(line.kind);
  return buildConfig(line.flags, read);
}

function usageErrorOf(run: () => unknown): UsageError {
  try {
    run();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

describe('the flag table', () => {
  it('has each flag once, with a default that its own rules accept', () => {
    expect(new Set(flagTable.map((spec) => spec.name)).size).toBe(flagTable.length);
    const config = configOf([]);
    expect(config.name).toBe('default');
    for (const spec of flagTable) {
      expect(flagGroups).toContain(spec.group);
      expect(spec.help.length).toBeLessThan(90);
      if (spec.kind === 'bool' || spec.kind === 'noop') continue;
      const line = parseCommandLine([`--${spec.name}=${spec.default}`], {}, noFiles);
      expect(line.kind, spec.name).toBe('run');
    }
  });

  it('maps a flag to its environment variable as etcd does', () => {
    expect(environmentName('listen-client-urls')).toBe('ETCD_LISTEN_CLIENT_URLS');
  });
});

describe('flag syntax', () => {
  it('takes one or two dashes, = or the next word', () => {
    for (const argv of [['--name=a'], ['-name=a'], ['--name', 'a'], ['-name', 'a']]) {
      expect(configOf(argv).name).toBe('a');
    }
  });

  it('takes the last of several', () => {
    expect(configOf(['--name=a', '--name=b']).name).toBe('b');
  });

  it('takes booleans alone or with =, never from the next word', () => {
    expect(configOf(['--pre-vote']).preVote).toBe(true);
    expect(configOf(['--pre-vote=false']).preVote).toBe(false);
    expect(configOf(['--pre-vote=F']).preVote).toBe(false);
    const error = usageErrorOf(() => configOf(['--pre-vote', 'false']));
    expect(error.message).toContain('"false" is not a valid flag (write --pre-vote=false)');
    expect(error.exitCode).toBe(1);
  });

  it('refuses a stray argument with status 1', () => {
    const error = usageErrorOf(() => configOf(['foo']));
    expect(error.message).toContain('"foo" is not a valid flag');
    expect(error.exitCode).toBe(1);
    expect(usageErrorOf(() => configOf(['--', 'x'])).exitCode).toBe(1);
    expect(usageErrorOf(() => configOf(['-'])).exitCode).toBe(1);
  });

  it.each([
    ['--nme=a', 'did you mean --name?'],
    ['--listen-client-url=http://localhost:1', 'did you mean --listen-client-urls?'],
    ['---name=a', 'bad flag syntax: "---name=a"'],
    ['--=a', 'bad flag syntax'],
    ['--name', 'flag needs an argument: --name'],
    ['--qqqqqqqqqqqqq', 'flag provided but not defined: "--qqqqqqqqqqqqq"'],
  ])('answers %s with status 2 and a remedy', (word, text) => {
    const error = usageErrorOf(() => configOf([word]));
    expect(error.message).toContain(text);
    expect(error.exitCode).toBe(2);
  });

  it('says what to use instead of a removed flag', () => {
    const messages = (word: string) => usageErrorOf(() => configOf([word])).message;
    expect(messages('--enable-v2')).toContain('was removed');
    expect(messages('--debug')).toContain('--log-level=debug');
    expect(messages('--experimental-corrupt-check-time=1h')).toContain('--corrupt-check-time');
    expect(messages('--experimental-initial-corrupt-check')).toContain(
      '--feature-gates=InitialCorruptCheck=true',
    );
    expect(messages('--experimental-anything')).toContain('since 3.7');
  });

  it('knows help and version, wherever they stand', () => {
    for (const word of ['--help', '-h', '-help']) {
      expect(parseCommandLine(['--name=a', word], {}, noFiles).kind).toBe('help');
    }
    expect(parseCommandLine(['--name=a', '--version'], {}, noFiles).kind).toBe('version');
  });
});

describe('values', () => {
  it.each([
    ['5s', 5000],
    ['1h30m', 5_400_000],
    ['100ms', 100],
    ['1.5s', 1500],
    ['.5s', 500],
    ['2us', 0.002],
    ['0', 0],
    ['-1s', -1000],
    ['+1s', 1000],
  ])('reads the Go duration %s', (text, ms) => {
    expect(parseGoDuration(text)).toBeCloseTo(ms, 9);
  });

  it.each(['', '5', '1d', 's', '1s 2s', '1 s', 'abc', '-', '.s', '5S', '1e3s'])(
    'refuses the duration "%s"',
    (text) => {
      expect(parseGoDuration(text)).toBeUndefined();
    },
  );

  it.each([
    ['0x10', 16],
    ['1_000', 1000],
    ['0b11', 3],
    ['0o17', 15],
    ['017', 15],
    ['+7', 7],
  ])('reads the Go integer %s', (text, value) => {
    expect(configOf([`--max-txn-ops=${text}`]).txnOpsMax).toBe(value);
  });

  it.each([
    '--heartbeat-interval=abc',
    '--heartbeat-interval=0',
    '--heartbeat-interval=-1',
    '--heartbeat-interval=1.5',
    '--heartbeat-interval=',
    '--heartbeat-interval=1__0',
    '--quota-backend-bytes=999999999999999999999999',
    '--quota-backend-bytes=NaN',
    '--grpc-keepalive-timeout=5',
    '--grpc-keepalive-timeout=-5s',
    '--grpc-keepalive-timeout=99999999999h',
    '--pre-vote=maybe',
    '--log-level=x',
    '--metrics=x',
    '--initial-cluster-state=x',
    '--tls-min-version=SSL3',
    '--name=',
    '--name=a\u0000b',
    '--name=a/b',
    '--name=\n',
    `--name=${'n'.repeat(300)}`,
    `--data-dir=${'d'.repeat(300)}`,
    `--data-dir=${'d/'.repeat(5000)}`,
    `--initial-cluster-token=${'x'.repeat(70_000)}`,
  ])('refuses %s with status 2, on one readable line', (word) => {
    const error = usageErrorOf(() => configOf([word]));
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain(`--${word.slice(2, word.indexOf('='))}`);
    expect(error.message.length).toBeLessThan(500);
    expect(error.message).not.toMatch(/\n/);
  });

  it('never fails otherwise than with a usage error, whatever is typed', () => {
    const names = fc.constantFrom(...flagTable.map((spec) => spec.name));
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 50 }),
      fc.string({ unit: 'grapheme', maxLength: 50 }),
      fc.string().map((text) => text.repeat(3000)),
      fc.constantFrom('', ' ', '=', ',', '-', '0', '-1', '1e9', '\u202e', '💥', '%00', '{}', '[]'),
      fc.constantFrom(
        'http://',
        'http://[::1',
        'unix://',
        'a=b=c',
        'https://x:99999',
        'http://@:1',
      ),
    );
    const viaArgv = (name: string, text: string) => configOf([`--${name}=${text}`]);
    const viaEnv = (name: string, text: string) => configOf([], { [environmentName(name)]: text });
    const check = fc.property(names, value, fc.boolean(), (name, text, env) => {
      try {
        (env ? viaEnv : viaArgv)(name, text);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        expect(String(error)).not.toMatch(/[\u0000-\u001f\u202e]/);
        expect(String(error).length).toBeLessThan(1000);
      }
    });
    fc.assert(check, { numRuns: 3000 });
  });
});

describe('environment', () => {
  it('sets flags', () => {
    expect(configOf([], { ETCD_NAME: 'e', ETCD_MAX_TXN_OPS: '7' })).toMatchObject({
      name: 'e',
      txnOpsMax: 7,
    });
  });

  it('refuses a flag and its variable together, with etcd text', () => {
    const error = usageErrorOf(() => configOf(['--name=a'], { ETCD_NAME: 'b' }));
    expect(error.message).toBe(
      'conflicting environment variable "ETCD_NAME" is shadowed by corresponding ' +
        'command-line flag (either unset environment variable or disable flag)',
    );
    expect(error.exitCode).toBe(1);
  });

  it('ignores empty variables', () => {
    expect(configOf(['--name=a'], { ETCD_NAME: '' }).name).toBe('a');
  });

  it('warns about unknown ones without showing their value', () => {
    const { warnings } = configOf([], {
      ETCD_NAM: 'secret-1',
      ETCD_VERSION: 'v3',
      ETCD_ENABLE_V2: 'true',
      ETCDCTL_API: '3',
      HOME: '/root',
    });
    expect(warnings).toHaveLength(3);
    expect(warnings.join('\n')).toContain('did you mean ETCD_NAME?');
    expect(warnings.join('\n')).toContain('ETCD_VERSION cannot be set');
    expect(warnings.join('\n')).toContain('The v2 API is gone');
    expect(warnings.join('\n')).not.toContain('secret-1');
  });
});

describe('config file', () => {
  const file = (text: string, argv: readonly string[] = [], env = {}) =>
    configOf(['--config-file=/c.yml', ...argv], env, { '/c.yml': text });

  it('reads etcd keys, nested TLS, nanoseconds and lists', () => {
    const config = file(`
name: infra0
data-dir: /d
listen-client-urls: http://0.0.0.0:2379,http://127.0.0.1:4001
advertise-client-urls: http://10.0.0.1:2379
grpc-keepalive-timeout: 20000000000
watch-progress-notify-interval: 5m
heartbeat-interval: 50
pre-vote: false
wal-dir:
log-outputs: [stderr, /tmp/x.log]
client-transport-security:
  client-cert-auth: false
  cert-file: ''
`);
    expect(config).toMatchObject({
      name: 'infra0',
      dataDir: '/d',
      keepaliveTimeoutMs: 20_000,
      watchProgressIntervalMs: 300_000,
      heartbeatMs: 50,
      preVote: false,
      logOutputs: ['stderr', '/tmp/x.log'],
      warnings: [],
    });
    expect(config.listenClientUrls.map((url) => url.text)).toEqual([
      'http://0.0.0.0:2379',
      'http://127.0.0.1:4001',
    ]);
  });

  it('has names of its own for TLS, as in etcd', () => {
    const section = (port: string, what: string): string => `${port}-transport-security: {${what}}`;
    const cases = [
      ['client', 'allowed-cn: [a, b]', '--client-cert-allowed-cn needs --client-cert-auth'],
      ['client', 'allowed-hostname: [a]', '--client-cert-allowed-hostname needs'],
      ['peer', 'allowed-cn: [a]', '--peer-cert-allowed-cn needs --peer-client-cert-auth'],
      ['peer', 'allowed-hostname: [a]', '--peer-cert-allowed-hostname needs'],
    ] as const;
    for (const [port, what, message] of cases) {
      expect(() => file(section(port, what)), what).toThrow(message);
    }
    const own = `self-signed-cert-validity: 2\n${section('client', 'auto-tls: true')}`;
    const config = file(`${own}\n${section('peer', 'skip-client-san-verification: true')}`);
    expect(config.clientAutoTls?.validityMs).toBe(2 * 365 * 24 * 3_600_000);
    expect(config.warnings).toEqual([
      'http://localhost:2379 is served without TLS although --auto-tls is set',
    ]);
  });

  it('replaces flags and environment, and says so', () => {
    const config = file('name: f', ['--max-txn-ops=9'], { ETCD_NAME: 'e' });
    expect(config).toMatchObject({ name: 'f', txnOpsMax: 128 });
    expect(config.warnings).toEqual(['ignored because of --config-file: --max-txn-ops, ETCD_NAME']);
  });

  it('may be named by the environment', () => {
    expect(configOf([], { ETCD_CONFIG_FILE: '/c' }, { '/c': 'name: f' }).name).toBe('f');
  });

  it('warns about keys it does not know, with a guess, and about removed ones', () => {
    const { warnings } = file(
      "nmae: x\nproxy: 'off'\nenable-v2: true\npeer-transport-security: {cert-fil: x}",
    );
    expect(warnings[0]).toContain('unknown setting "nmae" is ignored. Did you mean name?');
    expect(warnings[1]).toContain('proxy is ignored');
    expect(warnings[2]).toContain('The v2 API is gone');
    expect(warnings[3]).toContain('Did you mean cert-file?');
  });

  it.each([
    ['', 'default'],
    ['---\n', 'default'],
    ['# nothing\n', 'default'],
  ])('takes %j as an empty file', (text, name) => {
    expect(file(text).name).toBe(name);
  });

  it.each([
    'name: [',
    '- a\n- b',
    'just words',
    'name: {a: 1}',
    'heartbeat-interval: fast',
    'pre-vote: 7',
    'grpc-keepalive-timeout: 1.5',
    'client-transport-security: yes please',
    `a: &a [x]\n${'bcdefghi'.replace(/./g, (c, i) => `${c}: &${c} [${`*${'abcdefgh'[i]},`.repeat(9)}]\n`)}`,
    `name: ${'x'.repeat(2_000_000)}`,
  ])('refuses %.40j with status 2 and names the setting or the file', (text) => {
    const error = usageErrorOf(() => file(text));
    expect(error.exitCode).toBe(2);
    expect(error.message).toMatch(/\/c\.yml|--(heartbeat-interval|pre-vote|grpc-keepalive)/);
  });

  it('says which file can not be read', () => {
    const error = usageErrorOf(() => configOf(['--config-file=/nope']));
    expect(error.message).toContain('--config-file "/nope" can\'t be read: no such file');
  });
});

describe('every flag that etcd --help has', () => {
  /** Removed from etcd, though its help still names them: the error says what to do instead. */
  const removed = new Set(['discovery', 'discovery-proxy']);
  /** Printed as if it were empty, which etcd itself can't read. */
  const unreadable = new Set(['backend-batch-interval']);

  it('is in the list', () => {
    expect(etcdFlags.length).toBeGreaterThan(100);
    expect(new Set(etcdFlags.map(([name]) => name)).size).toBe(etcdFlags.length);
  });

  it.each(etcdFlags)('--%s is taken with its default, %j', (name, byDefault) => {
    if (removed.has(name)) {
      expect(() => configOf([`--${name}=`])).toThrow(/was removed\. .*v2 discovery/);
      return;
    }
    const spec = flagByName.get(name);
    expect(spec, 'a row in the table of flags').toBeDefined();
    const value = byDefault === undefined || unreadable.has(name) ? spec?.default : byDefault;
    const more = name === 'listen-client-urls' ? [`--advertise-client-urls=${value}`] : [];
    // A default asks for nothing, so nothing is said about it.
    expect(configOf([`--${name}=${value}`, ...more]).warnings).toEqual([]);
  });
});

describe('what etcd takes', () => {
  const file = (text: string) => configOf(['--config-file=/c.yml'], {}, { '/c.yml': text });

  it.each(['WARN', 'Warn', 'warning', 'DPANIC', 'panic', 'Fatal', ''])(
    '--log-level=%s',
    (level) => {
      const expected = /^w/i.test(level) ? 'warn' : level === '' ? 'info' : 'fatal';
      expect(configOf([`--log-level=${level}`]).logLevel).toBe(expected);
    },
  );

  it('the truth of YAML 1.1, equal keys, keys of any case, aliases and merges', () => {
    const text = [
      'strict-reconfig-check: off',
      'pre-vote: No',
      'force-new-cluster: on',
      'client-transport-security: {client-cert-auth: y}',
      'max-txn-ops: 1',
      'max-txn-ops: 0x10',
      'NAME: &name infra1',
      'initial-cluster-token: *name',
      'common: &common {snapshot-count: 1_000}',
      '<<: *common',
    ];
    expect(file(text.join('\n'))).toMatchObject({
      strictReconfigCheck: false,
      preVote: false,
      forceNewCluster: true,
      txnOpsMax: 16,
      name: 'infra1',
      initialClusterToken: 'infra1',
      snapshotCount: 1000,
    });
  });

  it('a file with every setting of its sample', () => {
    const sample = readFileSync(new URL('etcd-sample.conf', import.meta.url), 'utf8');
    const config = file(sample);
    expect(config).toMatchObject({
      name: 'default',
      dataDir: 'default.etcd',
      strictReconfigCheck: false,
      logLevel: 'debug',
      logOutputs: ['stderr'],
      autoCompaction: { mode: 'periodic', retentionMs: 3_600_000 },
    });
    expect(config.initialCluster).toEqual(new Map([['default', ['http://localhost:2380']]]));
    expect(config.warnings).toContainEqual(expect.stringContaining("discovery-fallback 'proxy'"));
    // On the command line etcd refuses it, too.
    expect(() => configOf(['--discovery-fallback=proxy'])).toThrow('--discovery-fallback');
  });
});

describe('traces', () => {
  it('are off, and go to a collector beside the member in one share of the calls', () => {
    expect(configOf(['--distributed-tracing-sampling-rate=5']).tracing).toBeUndefined();
    const on = '--enable-distributed-tracing';
    expect(configOf([on]).tracing).toEqual({
      collector: { host: 'localhost', port: 4317 },
      ...{ serviceName: 'etcd', instanceId: '', share: 0 },
    });
    const address = (text: string) => configOf([on, `--distributed-tracing-address=${text}`]);
    expect(address('[::1]:99').tracing?.collector).toEqual({ host: '::1', port: 99 });
    for (const text of ['localhost', ':4317', 'a:0', 'a:99999', 'http://a:1']) {
      const { message } = usageErrorOf(() => address(text));
      expect(message).toContain('must be host:port');
    }
    expect(configOf([on, '--distributed-tracing-sampling-rate=1000']).tracing?.share).toBe(0.001);
  });
});

describe('flags without effect', () => {
  it('warn when they are set to something else than their default', () => {
    expect(configOf(['--max-wals=5']).warnings).toEqual([]);
    expect(configOf(['--max-wals=3']).warnings[0]).toContain('--max-wals is ignored');
  });

  it('refuse to start where silence would be unsafe', () => {
    const { message } = usageErrorOf(() => configOf(['--discovery-token=x']));
    expect(message).toContain('--discovery-token');
  });
});

describe('messages', () => {
  it('quote what was typed on one line', () => {
    expect(quote('a"b\n\u202e')).toBe('"a\\"b\\u000a\\u202e"');
    expect(quote('x'.repeat(500))).toMatch(/^"x{120}\.\.\." \(500 characters\)$/);
  });

  it('guess only what is near', () => {
    expect(didYouMean('nme', ['name', 'wal-dir'])).toBe('name');
    expect(didYouMean('zzzzzz', ['name', 'wal-dir'])).toBeUndefined();
  });
});
