/** `kvorum diagnose` and `kvorum top` on members that run. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseTarGzip } from 'nanotar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Etcd } from '../../src/client/index.js';
import {
  startCluster,
  startNode,
  type TestCluster,
  type TestNode,
} from '../../src/testing/index.js';
import { eventually } from '../helpers/eventually.js';
import { type CtlSetup, ctl } from './run-ctl.js';

const soon = ['--interval', '10ms'];
/** A machine may be busy. */
const patient = ['--member-timeout', '60s'];

describe('kvorum diagnose', () => {
  let node: TestNode;
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-diagnose-'));
  const writeNew = async (path: string, data: Uint8Array): Promise<void> => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, data, { flag: 'wx' });
  };
  const diagnose = (words: readonly string[], setup: CtlSetup = {}) =>
    ctl(['diagnose', '--endpoints', node.endpoint, ...soon, ...patient, ...words], {
      writeNew,
      ...setup,
    });

  beforeAll(async () => {
    node = await startNode();
  }, 60_000);
  afterAll(async () => {
    await node.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it('tells of a single member without auth, and what to do', async () => {
    const { code, stdout } = await diagnose([]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cluster [0-9a-f]+, 1 member: /);
    expect(stdout).toContain(
      'note single-member: There is one voter: when it is down, everything is, and its disk is the ' +
        'only copy.\n  Grow to three members if that matters, or make backups often.\n',
    );
    expect(stdout).toContain('note auth-off: ');
    expect(stdout).toMatch(/^NAME +ROLE +LAG +FSYNC P50 +P99 +TO PEERS P50 /m);
    expect(stdout).toMatch(/^m1 +leader +0 /m);
  });

  it('has the same as JSON', async () => {
    const { stdout } = await diagnose(['-w', 'json']);
    const { findings } = JSON.parse(stdout);
    expect(findings.map(({ id }: { id: string }) => id)).toContain('single-member');
  });

  it.each(['folder', 'report.tar.gz'])(
    'writes all of it to %s, without keys, values, passwords',
    async (name) => {
      const db = new Etcd(node.endpoint);
      await db.kv.put('secret-key', 'secret-value');
      await db.close();
      const path = join(dir, name);
      const words = ['--output', path, '--user', 'somebody', '--password', 'secret-password'];
      expect((await diagnose(words)).code).toBe(0);
      const files = name === 'folder' ? filesBelow(path) : await filesIn(path);
      const names = [
        'findings.json',
        'metrics/m1.txt',
        'report.txt',
        'status-before.json',
        'status.json',
      ];
      expect([...files.keys()].sort()).toEqual(names);
      expect(files.get('report.txt')).toContain('single-member');
      expect(files.get('metrics/m1.txt')).toContain('etcd_disk_wal_fsync_duration_seconds_bucket');
      for (const text of files.values()) expect(text).not.toMatch(/secret/);
      const again = await diagnose(words);
      expect(again).toMatchObject({ code: 6, stdout: '' });
      expect(again.stderr).toContain('EEXIST');
    },
  );

  it('ends with 1 if nobody answers', async () => {
    const run = await ctl([
      'diagnose',
      '--endpoints',
      '127.0.0.1:1',
      '--member-timeout',
      '300ms',
      ...soon,
    ]);
    expect(run.code).toBe(1);
    expect(run.stdout).toContain('critical members-unknown');
    expect(run.stdout).toMatch(/warning member-down: .*ECONNREFUSED/);
  });
});

function filesBelow(path: string): Map<string, string> {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(files.map((file) => [file.slice(path.length + 1), readFileSync(file, 'utf8')]));
}

async function filesIn(path: string): Promise<Map<string, string>> {
  const files = await parseTarGzip(readFileSync(path));
  return new Map(files.map(({ name, text }) => [name.replace('kvorum-diagnose/', ''), text]));
}

describe('kvorum top', () => {
  let cluster: TestCluster;
  let db: Etcd;
  beforeAll(async () => {
    cluster = await startCluster({ size: 3 });
    db = new Etcd(cluster.endpoints);
    const kinds = [
      ['/registry/pods/default/', 30],
      ['/registry/nodes/', 5],
      ['/lock/', 2],
    ] as const;
    for (const [prefix, many] of kinds) {
      for (let i = 0; i < many; i += 1) await db.kv.put(`${prefix}${i}`, 'x');
    }
    await db.kv.put('flat', 'x');
  }, 60_000);
  afterAll(async () => {
    await db.close();
    await cluster.stop();
  });
  const top = (...words: string[]) =>
    ctl(['top', '--once', ...patient, '--endpoints', cluster.endpoints.join(','), ...words]);

  it('counts what a loaded member does, its methods and its prefixes', async () => {
    let goes = true;
    const load = (async () => {
      for (let i = 0; goes; i += 1) await db.kv.put(`/registry/pods/default/${i % 30}`, 'y');
    })();
    try {
      const { stdout } = await top('--interval', '300ms', '-w', 'json');
      const told = JSON.parse(stdout);
      expect(told.members).toHaveLength(3);
      for (const member of told.members) {
        expect(member.putsPerSecond).toBeGreaterThan(0);
        expect(member.fsync.p99).toBeGreaterThan(0);
      }
      expect(told.methods[0].name).toMatch(/\w/);
      expect(told.methods.map(({ name }: { name: string }) => name)).toContain(
        'etcdserverpb.KV Put',
      );
      expect(told.prefixes.prefixes).toEqual([
        { prefix: '/registry/pods/', keys: 30 },
        { prefix: '/registry/nodes/', keys: 5 },
        { prefix: '/lock/', keys: 2 },
        { prefix: '', keys: 1 },
      ]);
      expect(told.prefixes).toMatchObject({ keys: 38, otherKeys: 0, isPartial: false });
    } finally {
      goes = false;
      await load;
    }
  });

  it('is a screen of text', async () => {
    const { code, stdout } = await top('--interval', '50ms');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cluster [0-9a-f]+, 3 members; rates are in the last \d+\.\d s\n/);
    expect(stdout).toMatch(
      /^NAME\* +ROLE +PUT\/S +RANGE\/S +TXN\/S +FSYNC P50 +P99 +COMMIT P50 +P99 +LOOP P99 +WATCHERS +DB +SENT\/S$/m,
    );
    for (const name of ['m1', 'm2', 'm3'])
      expect(stdout).toMatch(new RegExp(`^${name} +(leader|follower) `, 'm'));
    expect(stdout).toMatch(/^PREFIX +KEYS +OF ALL$/m);
    expect(stdout).toMatch(/^\/registry\/pods\/ +30 +79 %$/m);
    expect(stdout).toContain('(keys without one)');
    expect(stdout).not.toContain('\u001b');
  });

  it('is drawn on a terminal again and again, sorted by keys, until q', async () => {
    let press: (key: string) => void = () => undefined;
    let screen = '';
    let stopped = 0;
    const keys = {
      size: () => ({ columns: 200, rows: 40 }),
      read(pressed: (key: string) => void) {
        press = pressed;
        return {
          stop() {
            stopped += 1;
          },
        };
      },
    };
    const running = ctl(
      ['top', '--interval', '20ms', ...patient, '--endpoints', cluster.endpoints.join(',')],
      {
        columns: 200,
        keys,
        onStdout: (text) => {
          screen = text;
        },
      },
    );
    await eventually(() => /\/registry\/pods\//.test(screen) || undefined, 'the first screen');
    press('right');
    press('right');
    await eventually(() => /PUT\/S\*/.test(screen) || undefined, 'members sorted by puts');
    press('left');
    await eventually(() => /ROLE\*/.test(screen) || undefined, 'members sorted by role');
    press('q');
    const { code, stdout } = await running;
    expect(code).toBe(0);
    expect(stopped).toBe(1);
    // The terminal is as it was.
    expect(stdout.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true);
    expect(stdout.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
  });
});
