/** Log files that are put aside: names, sizes, what is removed, and the flags. */

import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultConfig, type LogRotation, UsageError } from '../../src/server/options/index.js';
import { createLogger } from '../../src/server/platform/index.js';
import { eventually } from '../helpers/eventually.js';

const keepAll: LogRotation = {
  sizeBytesMax: 4000,
  daysMax: 0,
  filesMax: 0,
  localTime: false,
  compress: false,
};
const startMs = Date.UTC(2026, 10, 30, 12, 0, 0, 7);

describe('a log file that rotates', () => {
  let dir: string;
  let wallMs: number;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-log-'));
    wallMs = startMs;
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const path = () => join(dir, 'kvorum.log');
  const others = () => readdirSync(dir).filter((name) => name !== 'kvorum.log');

  const open = (rotation: Partial<LogRotation>) =>
    createLogger({
      level: 'info',
      format: 'json',
      outputs: [path()],
      clock: { wallMs: () => wallMs },
      rotation: { ...keepAll, ...rotation },
      openFile: (file) => openSync(file, 'a', 0o600),
    });

  /** Fills the file until it is put aside. */
  async function fill(log: ReturnType<typeof open>, mark: string): Promise<void> {
    // One that is being compressed meanwhile is not a new one.
    const aside = () => others().map((name) => name.replace(/(\.gz)?(\.tmp)?$/, ''));
    const before = new Set(aside());
    await eventually(() => {
      log.info(mark, { text: 'x'.repeat(500) });
      return aside().some((name) => !before.has(name)) || undefined;
    }, 'the file is put aside');
    wallMs += 1000;
  }

  it('is put aside under the time, as etcd names it, and no line is lost', async () => {
    const log = open({});
    for (const mark of ['one', 'two', 'three']) await fill(log, mark);
    log.info('last');
    await log.end();
    const names = others();
    expect(names).toEqual([
      'kvorum-2026-11-30T12-00-00.007.log',
      'kvorum-2026-11-30T12-00-01.007.log',
      'kvorum-2026-11-30T12-00-02.007.log',
    ]);
    const all = [...names, 'kvorum.log'].map((name) => readFileSync(join(dir, name), 'utf8'));
    for (const text of all.slice(0, 3)) expect(text.length).toBeGreaterThanOrEqual(4000);
    const marks = all.flatMap((text) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { msg: string }).msg),
    );
    expect([...new Set(marks)]).toEqual(['one', 'two', 'three', 'last']);
  });

  it('counts what is in the file already, and takes no name twice', async () => {
    writeFileSync(path(), 'y'.repeat(3999));
    writeFileSync(join(dir, 'kvorum-2026-11-30T12-00-00.007.log'), 'mine');
    const log = open({});
    log.info('short');
    await eventually(() => others().length === 2 || undefined, 'it is put aside');
    await log.end();
    expect(others()).toContain('kvorum-2026-11-30T12-00-00.008.log');
    expect(readFileSync(join(dir, 'kvorum-2026-11-30T12-00-00.007.log'), 'utf8')).toBe('mine');
  });

  it('keeps so many, compressed if that is asked for, and nothing that is not its own', async () => {
    const strangers = ['kvorum-backup.log', 'kvorum-2026-11-30.log', 'other.log'];
    for (const name of strangers) writeFileSync(join(dir, name), name);
    const log = open({ filesMax: 2, compress: true });
    for (const mark of ['one', 'two', 'three', 'four']) await fill(log, mark);
    const kept = ['kvorum-2026-11-30T12-00-02.007.log.gz', 'kvorum-2026-11-30T12-00-03.007.log.gz'];
    const expected = [...kept, ...strangers].sort();
    await eventually(
      () => others().sort().join() === expected.join() || undefined,
      'the older ones are gone',
    );
    expect(gunzipSync(readFileSync(join(dir, kept[1] ?? ''))).toString()).toContain('"msg":"four"');
    await log.end();
  });

  it('removes those that are too old', async () => {
    const dayMs = 86_400_000;
    for (const days of [3.1, 2.9]) {
      const stamp = new Date(startMs - days * dayMs).toISOString().slice(0, -1);
      writeFileSync(join(dir, `kvorum-${stamp.replaceAll(':', '-')}.log`), String(days));
    }
    const log = open({ daysMax: 3 });
    await fill(log, 'one');
    await eventually(() => others().length === 2 || undefined, 'the oldest is gone');
    expect(others().some((name) => readFileSync(join(dir, name), 'utf8') === '2.9')).toBe(true);
    await log.end();
  });

  it('goes on where it is if it can not be put aside', async () => {
    const log = open({});
    log.info('it is open');
    await eventually(() => readFileSync(path()).length > 0 || undefined, 'it is open');
    rmSync(path());
    for (let i = 0; i < 30; i += 1) log.info('x', { text: 'x'.repeat(500) });
    await log.end();
    expect(others()).toEqual([]);
  });

  it('that can not be opened is an error of the start', () => {
    expect(() =>
      createLogger({
        ...{ level: 'info', format: 'json', outputs: [join(dir, 'no', 'file')] },
        clock: { wallMs: () => wallMs },
        rotation: keepAll,
        openFile: (file) => openSync(file, 'a', 0o600),
      }),
    ).toThrow(/ENOENT/);
  });
});

describe('the flags of rotation', () => {
  const on = ['--enable-log-rotation', '--log-outputs=stderr,/var/log/k.log'];
  const rotationOf = (json: string) =>
    defaultConfig(...on, `--log-rotation-config-json=${json}`).logRotation;

  it('are read as etcd reads them', () => {
    const plain = { daysMax: 0, filesMax: 0, localTime: false, compress: false };
    expect(defaultConfig(...on).logRotation).toEqual({ ...plain, sizeBytesMax: 104_857_600 });
    expect(rotationOf('{}')).toEqual({ ...plain, sizeBytesMax: 104_857_600 });
    expect(
      rotationOf('{"MaxSize":3,"maxage":2,"maxbackups":7,"localtime":true,"compress":true,"x":1}'),
    ).toEqual({
      ...{ sizeBytesMax: 3 * 1024 * 1024, daysMax: 2, filesMax: 7 },
      ...{ localTime: true, compress: true },
    });
    expect(defaultConfig('--log-outputs=/var/log/k.log').logRotation).toBeUndefined();
  });

  it.each(['{', '[]', 'null', '3', '{"maxsize":"a"}', '{"maxsize":-1}', '{"compress":1}'])(
    'refuse %s',
    (json) => expect(() => rotationOf(json)).toThrow(UsageError),
  );

  it.each(['stderr', 'stdout,stderr', '/a.log,/b.log'])('refuse the outputs %s', (outputs) => {
    const config = () => defaultConfig('--enable-log-rotation', `--log-outputs=${outputs}`);
    expect(config).toThrow(/--log-outputs requires a single file path/);
  });
});
