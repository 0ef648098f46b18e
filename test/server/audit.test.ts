/** The audit: which calls are written, what a line has in it, and what a full disk does to it. */

import { describe, expect, it } from 'vitest';
import { auditBacklogBytesMax, silentLogger } from '../../src/common/index.js';
import {
  decodePutRequest,
  decodeRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
} from '../../src/proto/index.js';
import { type AskedKey, askedMethod, textOfKey } from '../../src/server/audit/asked.js';
import { AuditFile } from '../../src/server/audit/index.js';
import { auditLine } from '../../src/server/audit/line.js';
import { AuditRules } from '../../src/server/audit/rules.js';
import { Metrics } from '../../src/server/metrics/index.js';
import { parseAuditRules } from '../../src/server/options/audit.js';
import { buildConfig, defaultConfig } from '../../src/server/options/config.js';
import { parseCommandLine } from '../../src/server/options/index.js';
import { SimClock, SimDisk, SimRandom } from '../../src/sim/index.js';

const rulesOf = (text: string) => new AuditRules(parseAuditRules('r.yaml', text));

describe('the rules', () => {
  const read = (key: string, end = ''): AskedKey => ({ op: 'range', kind: 'read', key, end });
  const put = (key: string): AskedKey => ({ op: 'put', kind: 'write', key, end: '' });
  const decided = (text: string, keys: readonly AskedKey[], user = 'bob', method = 'KV/Txn') => {
    const kind = keys.some((key) => key.kind === 'write') ? 'write' : 'read';
    return rulesOf(text).writes({ user, method }, { kind, keys, about: {} });
  };

  it('write changes, where there are none', () => {
    expect(decided('', [put('a')])).toBe(true);
    expect(decided('', [read('a')])).toBe(false);
    expect(decided('otherwise: none', [put('a')])).toBe(false);
    expect(decided('otherwise: reads', [put('a')])).toBe(false);
    expect(decided('otherwise: all', [read('a')])).toBe(true);
  });

  it('decide by the first that fits, by prefix, user and method', () => {
    const text = `
rules:
  - { users: [root], log: all }
  - { prefixes: [/noise/], log: none }
  - { prefixes: [/secret/, /keys/], log: all }
  - { methods: ['Lease/*', KV/Compact], log: none }
`;
    expect(decided(text, [put('/noise/1')])).toBe(false);
    expect(decided(text, [put('/noise/1')], 'root')).toBe(true);
    expect(decided(text, [read('/secret/1')])).toBe(true);
    expect(decided(text, [read('/other')])).toBe(false);
    expect(decided(text, [put('/other')])).toBe(true);
    expect(decided(text, [], 'bob', 'Lease/LeaseGrant')).toBe(false);
    expect(decided(text, [put('a')], 'bob', 'KV/Compact')).toBe(false);
  });

  it('write the whole of a transaction for one of its keys', () => {
    const text = 'rules: [{ prefixes: /noise/, log: none }]';
    expect(decided(text, [put('/noise/1'), put('/noise/2')])).toBe(false);
    expect(decided(text, [put('/noise/1'), put('/else')])).toBe(true);
  });

  it('let no range around them: what only touches a prefix is brought in, not kept out', () => {
    const secret = 'rules: [{ prefixes: /s/, log: all }]\notherwise: none';
    expect(decided(secret, [read('/a', '/z')])).toBe(true);
    expect(decided(secret, [read('\0', '\0')])).toBe(true);
    expect(decided(secret, [read('/s/', '/s0')])).toBe(true);
    expect(decided(secret, [read('/s0', '/z')])).toBe(false);
    expect(decided(secret, [read('/a', '/s/')])).toBe(false);
    const quiet = 'rules: [{ prefixes: /s/, log: none }]\notherwise: all';
    expect(decided(quiet, [read('/s/', '/s0')])).toBe(false);
    expect(decided(quiet, [read('/s/', '/s1')])).toBe(true);
    expect(decided(quiet, [read('/s/x', '\0')])).toBe(true);
  });

  it('let nothing be decoded that nobody wants', () => {
    expect(rulesOf('').mayWrite('KV/Range', ['read'])).toBe(false);
    expect(rulesOf('').mayWrite('KV/Txn', ['read', 'write'])).toBe(true);
    const some = rulesOf('rules: [{ methods: KV/Range, users: eve, log: reads }]');
    expect(some.mayWrite('KV/Range', ['read'])).toBe(true);
    expect(some.mayWrite('Watch/Watch', ['read'])).toBe(false);
  });

  it.each([
    ['rules: 5', 'rules must be a list'],
    ['otherwise: sometimes', 'otherwise must be one of none, reads, writes, all'],
    ['other: 1', 'unknown setting "other"'],
    ['rules: [{ log: all, prefix: a }]', 'rule #1: unknown setting "prefix"'],
    ['rules: [{ users: a }]', 'rule #1: log must be one of none, reads, writes, all'],
    ['rules: [{ users: [], log: all }]', 'rule #1: users is empty'],
    ['rules: [{ users: 5, log: all }]', 'rule #1: users must be texts; use quotes'],
    ['rules: [{ methods: Put, log: all }]', 'rule #1: "Put" is no method'],
    ['rules: [', 'is not valid YAML'],
  ])('that say %s are refused', (text, why) => {
    expect(() => rulesOf(text)).toThrow(why);
  });

  it('are read from a file, which only makes sense with a log', () => {
    expect(defaultConfig().audit).toBeUndefined();
    const read = (...argv: readonly string[]) => {
      const files = () => 'otherwise: all';
      const line = parseCommandLine(argv, {}, files);
      if (line.kind !== 'run') throw new Error('no server');
      return buildConfig(line.flags, files).audit;
    };
    expect(read('--audit-log', 'a.log', '--audit-rules', 'r')).toMatchObject({
      path: 'a.log',
      otherwise: 'all',
      sizeBytesMax: 100 * 1024 * 1024,
      filesMax: 10,
    });
    expect(() => read('--audit-rules', 'r')).toThrow('--audit-rules needs --audit-log');
  });
});

describe('a line', () => {
  const value = Buffer.from('the value of it');
  const lineOf = (method: string, request: Buffer): string =>
    auditLine({
      atMs: 0,
      user: 'bob',
      commonName: '',
      address: '10.0.0.1:5',
      method,
      asked: askedMethod(method)?.read(request) ?? expect.fail('it is told'),
      outcome: { code: 'OK', message: '', revision: 7, tookMs: 1.23456 },
    });

  it('has keys, never values', () => {
    const put = encodePutRequest({ key: '/a', value });
    expect(JSON.parse(lineOf('/etcdserverpb.KV/Put', put))).toEqual({
      ts: '1970-01-01T00:00:00.000Z',
      user: 'bob',
      peer: '10.0.0.1:5',
      method: '/etcdserverpb.KV/Put',
      keys: [{ op: 'put', key: '/a' }],
      code: 'OK',
      revision: 7,
      ms: 1.235,
    });
    const range = decodeRangeRequest(encodeRangeRequest({ key: '/b', rangeEnd: '/c' }));
    const putE = decodePutRequest(encodePutRequest({ key: '/e', value }));
    const txn = encodeTxnRequest({
      compare: [
        {
          ...{ key: '/d', rangeEnd: '', result: 0, target: 3, targetUnion: 'value', value },
          ...{ version: 0, createRevision: 0, modRevision: 0, lease: 0n },
        },
      ],
      success: [{ type: 'put', request: putE }],
      failure: [{ type: 'range', request: range }],
    });
    const line = lineOf('/etcdserverpb.KV/Txn', txn);
    expect(JSON.parse(line).keys).toEqual([
      { op: 'compare', key: '/d' },
      { op: 'put', key: '/e' },
      { op: 'range', key: '/b', end: '/c' },
    ]);
    expect(line).not.toContain('value');
  });

  it('shows keys that are no text, and long ones, without doubt', () => {
    expect(textOfKey('/a b')).toBe('/a b');
    expect(textOfKey(Buffer.from('ключ').toString('latin1'))).toBe('ключ');
    expect(textOfKey('\xff\x00')).toBe('base64:/wA=');
    expect(textOfKey('base64:/wA=')).toBe(
      `base64:${Buffer.from('base64:/wA=').toString('base64')}`,
    );
    const put = encodePutRequest({ key: 'k'.repeat(100_000), value });
    const line = lineOf('/etcdserverpb.KV/Put', put);
    expect(line.length).toBeLessThan(2000);
    expect(line).toContain('(100000 bytes)');
  });

  it('knows every method of the services but those of gRPC itself', () => {
    expect(askedMethod('/grpc.health.v1.Health/Check')).toBeUndefined();
    expect(askedMethod('/etcdserverpb.KV/New')?.kinds).toEqual(['write']);
  });
});

describe('the file', () => {
  const path = '/logs/audit.log';

  function setUp(sizeBytesMax = 1e9, filesMax = 2) {
    const clock = new SimClock();
    const disk = new SimDisk({ clock, random: new SimRandom(1) });
    disk.plant('/logs/other', Buffer.from('x'));
    const metrics = new Metrics();
    const config = { path, rules: [], otherwise: 'all', sizeBytesMax, filesMax } as const;
    const file = new AuditFile({ clock, disk, logger: silentLogger, metrics, config });
    const text = (at = path) => disk.peek(at).toString();
    const pass = (ms: number) => clock.run(clock.nowMs() + ms);
    return { clock, disk, metrics, file, text, pass };
  }

  it('gets lines some times a second, behind what is there', async () => {
    const { clock, disk, file, pass, text } = setUp();
    disk.plant(path, Buffer.from('{"old":1}\n{"tor'));
    await clock.runUntil(file.open());
    file.write('one\n');
    file.write('two\n');
    expect(text()).not.toContain('one');
    await pass(1000);
    expect(text()).toBe('{"old":1}\n{"tor\none\ntwo\n');
    file.write('three\n');
    await clock.runUntil(file.close());
    expect(text()).toMatch(/two\nthree\n$/);
  });

  it('is put aside when it is large, and so many are kept', async () => {
    const { clock, disk, file, metrics, pass } = setUp(1000, 2);
    await clock.runUntil(file.open());
    for (let i = 0; i < 60; i++) {
      file.write(`${String(i).padStart(99, '0')}\n`);
      if (i % 10 === 9) await pass(1000);
    }
    await clock.runUntil(file.close());
    const names = (await clock.runUntil(disk.list('/logs'))).filter((n) => n !== 'other');
    expect(names).toHaveLength(3);
    expect(names.filter((n) => /^audit-\d{4}-\d\d-\d\dT[\d-]+\.\d{3}\.log$/.test(n))).toHaveLength(
      2,
    );
    expect(metrics.auditDropped).toBe(0);
  });

  it('holds lines while the disk is full, drops and counts what is too much, and tells', async () => {
    const { clock, disk, file, metrics, pass, text } = setUp();
    await clock.runUntil(file.open());
    file.write('before\n');
    await pass(1000);
    disk.setCapacity(10);
    file.write('kept\n');
    await pass(10_000);
    expect(metrics.auditWriteFailures).toBeGreaterThan(2);
    const line = `${'x'.repeat(99_999)}\n`;
    const fit = Math.floor(auditBacklogBytesMax / line.length);
    for (let i = 0; i < fit + 50; i++) file.write(line);
    const dropped = metrics.auditDropped;
    expect(dropped).toBeGreaterThan(40);
    await pass(10_000);
    expect(text()).toBe('before\n');
    disk.setCapacity(Number.POSITIVE_INFINITY);
    await pass(10_000);
    const lines = text().trimEnd().split('\n');
    expect(lines.slice(0, 2)).toEqual(['before', 'kept']);
    expect(lines.filter((one) => `${one}\n` === line)).toHaveLength(fit + 50 - dropped);
    const told = lines.filter((one) => one.startsWith('{')).map((one) => JSON.parse(one));
    expect(told).toEqual([
      { ts: expect.any(String), dropped, from: expect.stringMatching(/^\d{4}-.*Z$/) },
    ]);
    file.write('after\n');
    await pass(1000);
    expect(text()).toMatch(/after\n$/);
    expect(metrics.auditDropped).toBe(dropped);
  });

  it('in a folder that is not there is a mistake of the flag', async () => {
    const { clock, disk, metrics } = setUp();
    const config = { path: '/none/a', rules: [], otherwise: 'all', sizeBytesMax: 9, filesMax: 0 };
    const options = { clock, disk, logger: silentLogger, metrics };
    const file = new AuditFile({ ...options, config: { ...config, otherwise: 'all' } });
    await expect(clock.runUntil(file.open())).rejects.toThrow("--audit-log can't be written");
  });
});
