/** `render`: files from templates, replaced whole or not at all, and whoever uses them told. */

import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Keys } from '../../src/ctl/data/render/keys.js';
import { rendered } from '../../src/ctl/data/render/template.js';
import { DataCommands } from '../helpers/data-commands.js';
import { eventually } from '../helpers/eventually.js';
import { type ServerProcess, startTarget, useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';

describe('a template', () => {
  const keys = new Keys();
  for (const [key, value] of Object.entries({
    '/a/hosts/1': 'one',
    '/a/hosts/2/port': '80',
    '/a/json': '{"list":[1,2]}',
    '/a/name': 'x <y>',
  })) {
    keys.set(key, Buffer.from(value));
  }
  keys.set('/a/bytes', Buffer.from([0xff]));
  const render = (text: string) => rendered(text, 't', { keys, prefixes: ['/a/'] });

  it.each([
    ['{{ "/a/name" | value }}', 'x <y>'],
    ['{{ "/a/none" | value: "otherwise" }}', 'otherwise'],
    ['{{ "/a/bytes" | value_base64 }}', '/w=='],
    ['{% if ("/a/name" | exists) %}yes{% endif %}{% if ("/a/b" | exists) %}no{% endif %}', 'yes'],
    [
      '{% for e in ("/a/hosts/" | entries) %}{{ e.key }} {{ e.name }}={{ e.value }};{% endfor %}',
      '/a/hosts/1 1=one;/a/hosts/2/port 2/port=80;',
    ],
    ['{{ "/a/hosts/" | children | join: "," }}', '1,2'],
    ['{% assign j = "/a/json" | value | parse_json %}{{ j.list[1] }}', '2'],
    ['{{ "/a/b/c" | base }} {{ "/a/b/c" | dir }}', 'c /a/b/'],
  ])('%s gives %s', async (text, expected) => {
    expect(await render(text)).toBe(expected);
  });

  it.each([
    ['x\n{{ "/a/none" | value }}', 't:2: there is no key /a/none'],
    ['{{ "/b/x" | value }}', 't:1: /b/x is not below a --prefix'],
    ['{{ "/a/bytes" | value }}', 't:1: the value of /a/bytes is no text; value_base64 gives'],
    ['{{ nothing }}', 't:1: undefined variable: nothing'],
    ['{{ "/a/name" | nope }}', 't:1: undefined filter: nope'],
    ['{% for %}', 't:1: '],
    ['{% include "/etc/passwd" %}', 't:1: ENOENT'],
    ['{{ "/a/name" | value | parse_json }}', 't:1: no JSON'],
    ['\n{% for e in "/a/" | children %}{{ e }}{% endfor %}', 't:2: a filter in a loop needs par'],
  ])('%s fails: %s', async (text, why) => {
    await expect(render(text)).rejects.toThrow(why);
  });
});

describeWith([targetTool], 'render', () => {
  const server = useTarget();
  let at: DataCommands;
  let dir = '';
  const path = (name: string) => join(dir, name);
  const read = (name: string) => readFileSync(path(name), 'utf8');
  beforeAll(() => {
    at = new DataCommands(server());
  });
  afterAll(() => at.close());
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-test-render-'));
    writeFileSync(path('t'), 'port {{ "/r/port" | value }}\n');
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const words = (...more: string[]) => ['render', path('t'), path('out'), '--prefix=/r/', ...more];
  const once = (...more: string[]) => at.run(words('--once', ...more));

  it('writes the file once, and tells of it only if it changed', async () => {
    const revision = await at.put('/r/port', '80');
    const reload = ['--reload', `cat "$FILE" >> ${path('told')}`];
    expect(await once(...reload)).toEqual({
      ...{ code: 0, err: '' },
      out: `${path('out')}: written, reloaded (revision ${revision})\n`,
    });
    expect(read('out')).toBe('port 80\n');
    expect(statSync(path('out')).mode & 0o777).toBe(0o644);
    expect(await once(...reload)).toEqual({ code: 0, out: '', err: '' });
    expect(read('told')).toBe('port 80\n');
    await once(...reload, '--reload-at-start');
    expect(read('told')).toBe('port 80\nport 80\n');
    expect(readdirSync(dir).sort()).toEqual(['out', 't', 'told']);
  });

  it('keeps the mode of the file, and the link that leads to it', async () => {
    await at.put('/r/port', '81');
    writeFileSync(path('real'), 'old');
    chmodSync(path('real'), 0o600);
    symlinkSync(path('real'), path('out'));
    await once('--mode', '0664');
    expect(read('real')).toBe('port 81\n');
    expect(statSync(path('real')).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir).sort()).toEqual(['out', 'real', 't']);
  });

  it.each([
    ['a template that fails', '{{ "/r/none" | value }}', []],
    ['a check that fails', 'new', ['--check', 'grep -q old "$FILE"']],
    ['a check that can not be run', 'new', ['--check', '/nowhere/check "$FILE"']],
  ])('%s leaves the old file', async (_, template, flags) => {
    writeFileSync(path('t'), template);
    writeFileSync(path('out'), 'old');
    const { code, out, err } = await once(...flags, '--reload', `touch ${path('told')}`);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/: there is no key |: the check command failed: exit status 1/);
    expect(read('out')).toBe('old');
    expect(readdirSync(dir).sort()).toEqual(['out', 't']);
  });

  it('gives the check the new file, with the mode it will have', async () => {
    await at.put('/r/port', '82');
    const check = `cat "$FILE" > ${path('seen')}; stat -c %a "$FILE" >> ${path('seen')}`;
    expect((await once('--check', check, '--mode', '0640')).code).toBe(0);
    expect(read('seen')).toBe('port 82\n640\n');
  });

  it('says what is wrong with the line and the file of pairs', async () => {
    const wrong = async (...line: string[]) => (await at.run(['render', ...line])).err;
    expect(await wrong(path('t'))).toContain('render takes a template and the file');
    expect(await wrong(path('t'), path('out'))).toContain("a pair needs a prefix; '' means all");
    expect(await wrong(path('t'), path('out'), '--prefix=/', '--mode=9')).toContain('9 is no mode');
    writeFileSync(path('c'), '{"pairs":[{"template":"a","out":"b","prefixes":["/"],"chek":""}]}');
    expect(await wrong('--config', path('c'))).toContain('pair 1: knows no "chek"');
    writeFileSync(path('c'), '{}');
    expect(await wrong('--config', path('c'))).toContain('has no list of "pairs"');
  });

  it('renders all pairs of a file, each with its own prefixes', async () => {
    await at.put('/r/port', '83');
    await at.put('/s/port', '84');
    writeFileSync(path('t2'), '{{ "/s/port" | value }} {{ "/r/port" | value }}');
    writeFileSync(path('t3'), '{{ "/s/port" | value }}');
    const pairs = [
      { template: path('t'), out: path('o1'), prefixes: ['/r/'] },
      { template: path('t2'), out: path('o2'), prefixes: ['/s/'] },
      { template: path('t3'), out: path('o3'), prefixes: ['/s/'], mode: '0600' },
    ];
    writeFileSync(path('c'), JSON.stringify({ pairs }));
    const config = ['render', '--config', path('c'), '--once', '-w', 'json'];
    const { code, out } = await at.run(config);
    expect(code).toBe(1);
    const lines = out.trimEnd().split('\n');
    expect(lines.map((one) => JSON.parse(one))).toMatchObject([
      { out: path('o1'), changed: true },
      { out: path('o2'), changed: false, problem: expect.stringContaining('/r/port is not below') },
      { out: path('o3'), changed: true },
    ]);
    expect([read('o1'), existsSync(path('o2')), read('o3')]).toEqual(['port 83\n', false, '84']);
  });

  /** Runs it until the test is over. */
  function follow(where: DataCommands, line: readonly string[]) {
    const stop = new AbortController();
    let err = '';
    const ended = where.run([...line, '--calm', '10ms'], {
      interrupted: stop.signal,
      io: {
        stderr: (text) => {
          err += text;
        },
      },
    });
    return {
      err: () => err,
      end: () => {
        stop.abort();
        return ended;
      },
    };
  }

  const becomes = (name: string, text: string) =>
    eventually(() => (read(name) === text ? true : undefined), `${name} becomes ${text}`);

  it('follows the keys until it is interrupted', async () => {
    await at.put('/r/port', '1');
    const run = follow(at, words('--reload', `cat "$FILE" >> ${path('told')}`));
    await becomes('told', 'port 1\n');
    await at.put('/r/port', '2');
    await becomes('told', 'port 1\nport 2\n');
    await at.put('/r/other', 'x');
    await at.del('/r/port');
    await eventually(() => (run.err() === '' ? undefined : true), 'a template fails');
    expect(run.err()).toContain('there is no key /r/port');
    expect(read('out')).toBe('port 2\n');
    await at.put('/r/port', '3');
    await becomes('told', 'port 1\nport 2\nport 3\n');
    expect((await run.end()).code).toBe(0);
  });

  it('runs a reload that failed again', async () => {
    await at.put('/r/port', '4');
    const reload = `echo again >> ${path('told')}; test -e ${path('allowed')}`;
    const run = follow(at, words('--reload', reload));
    await eventually(() => (existsSync(path('told')) ? true : undefined), 'a reload');
    writeFileSync(path('allowed'), '');
    await eventually(() => (read('told').length > 6 ? true : undefined), 'another reload');
    expect(run.err()).toContain('the reload command failed: exit status 1');
    expect((await run.end()).code).toBe(0);
  });

  it('waits while the cluster is away, and goes on with what it has missed', async () => {
    let other: ServerProcess | undefined;
    try {
      other = await startTarget();
      const there = new DataCommands(other);
      await there.put('/r/port', '5');
      const run = follow(there, words());
      await becomes('out', 'port 5\n');
      await other.kill();
      await eventually(() => (run.err().includes('trying again in') ? true : undefined), 'a pause');
      expect(read('out')).toBe('port 5\n');
      await other.start();
      await there.put('/r/port', '6');
      await becomes('out', 'port 6\n');
      expect((await run.end()).code).toBe(0);
      await there.close();
    } finally {
      await other?.dispose();
    }
  });
});
