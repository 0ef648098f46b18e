import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommandIo, ExitStatus, StopSignal } from '../../src/cli/command-io.js';
import { failureOf } from '../../src/cli/failure.js';
import {
  type RunningNode,
  runServerCommand,
  type StartNode,
} from '../../src/cli/server/command.js';
import { EtcdError, InvariantError, StorageError } from '../../src/common/index.js';
import { kvorumVersion } from '../../src/common/kvorum-version.js';
import { MemberRemovedError } from '../../src/server/node/member-links.js';
import { notifySystemd } from '../../src/server/platform/systemd.js';

/** A process that is not one: what the command did to it can be looked at. */
class FakeProcess {
  out = '';
  err = '';
  readonly exits: ExitStatus[] = [];
  readonly told: string[] = [];
  signal: (name: StopSignal) => void = () => {};
  hangUp: () => void = () => {};
  uncaught: (error: unknown) => void = () => {};
  #timers: Array<() => void> = [];
  logFile = '';

  readonly io: CommandIo = {
    clock: {
      nowMs: () => 0,
      wallMs: () => 0,
      after: (_delayMs, fire) => {
        this.#timers.push(fire);
        return { cancel() {} };
      },
      afterTurn: () => {},
    },
    isTerminal: true,
    stdout: (text) => {
      this.out += text;
    },
    stderr: (text) => {
      this.err += text;
    },
    readFile: () => {
      throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
    },
    openAppend: () => {
      throw Object.assign(new Error("EACCES: permission denied, open '/var/x.log'"), {
        code: 'EACCES',
      });
    },
    absolute: (path) => `/abs/${path}`,
    onSignal: (handler) => {
      this.signal = handler;
    },
    onHangUp: (handler) => {
      this.hangUp = handler;
    },
    onUncaught: (handler) => {
      this.uncaught = handler;
    },
    exit: (code) => {
      this.exits.push(code);
    },
    notify: async (state) => {
      this.told.push(state);
      return 'sent';
    },
    runtime: { nodeVersion: 'v20.1.2', platform: 'linux', architecture: 'x64' },
  };

  fireTimers(): void {
    for (const fire of this.#timers) fire();
  }
}

class FakeNode implements RunningNode {
  readonly clientUrls = ['http://127.0.0.1:2379'];
  readonly isNewData = true;
  fail: (error: unknown) => void = () => {};
  readonly failed = new Promise<unknown>((resolve) => {
    this.fail = resolve;
  });
  stops = 0;
  rereads = 0;
  stopping: () => Promise<void> = async () => {};

  async rereadFiles(): Promise<void> {
    this.rereads += 1;
  }

  stop(): Promise<void> {
    this.stops += 1;
    return this.stopping();
  }
}

// The logger writes to the real stderr; only what is worse than it can get there.
const quiet = ['--log-level=fatal'];

function run(argv: readonly string[] = [], start?: StartNode, env = {}) {
  const fake = new FakeProcess();
  const node = new FakeNode();
  const starter = start ?? (async () => node);
  const status = runServerCommand([...quiet, ...argv], env, fake.io, starter);
  return { fake, node, status };
}

/** Lets everything run that waits for nothing outside. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

describe('kvorum --version and --help', () => {
  it('prints the four lines of etcd, and ours', async () => {
    const { fake, status } = run(['--version']);
    expect(await status).toBe(0);
    expect(fake.out.split('\n')).toEqual([
      'etcd Version: 3.7.3',
      'Git SHA: kvorum',
      'Go Version: none (node v20.1.2)',
      'Go OS/Arch: linux/amd64',
      `kvorum Version: ${kvorumVersion}`,
      '',
    ]);
  });

  it('has the version of the package', () => {
    const json = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    expect((JSON.parse(json) as { version: string }).version).toBe(kvorumVersion);
  });

  it.each(['help', 'version'])('%s is a command as well', async (word) => {
    const outcome = async (...argv: string[]) => {
      const fake = new FakeProcess();
      const status = await runServerCommand(argv, {}, fake.io, async () => new FakeNode());
      return { status, out: fake.out };
    };
    expect(await outcome(word)).toEqual(await outcome(`--${word}`));
    expect((await outcome(word)).status).toBe(0);
    expect(await outcome(word, 'more')).toEqual({ status: 1, out: '' });
  });

  it('lists every flag by group, on lines that fit a terminal', async () => {
    const { fake, status } = run(['--help']);
    expect(await status).toBe(0);
    expect(fake.out).toContain("  --listen-client-urls 'http://localhost:2379'\n");
    expect(fake.out).toContain('Clustering:\n');
    for (const line of fake.out.split('\n')) expect(line.length).toBeLessThan(110);
  });
});

describe('a start that can not be', () => {
  it.each([
    [['--nme=x'], 2, '--name'],
    [['foo'], 1, 'is not a valid flag'],
    [['--config-file=/nope'], 2, 'no such file'],
    [['--listen-client-urls=http://127.0.0.1:1'], 2, '--advertise-client-urls is required'],
  ])('%j exits with %i and one line on stderr', async (argv, code, text) => {
    const { fake, status } = run(argv);
    expect(await status).toBe(code);
    expect(fake.err).toMatch(/^kvorum: .*\n$/);
    expect(fake.err).toContain(text);
    expect(fake.out).toBe('');
  });

  it('says so if a log file can not be opened', async () => {
    const { fake, status } = run(['--log-outputs=/var/x.log']);
    expect(await status).toBe(1);
    expect(fake.err).toContain("permission denied, open '/var/x.log'");
  });

  it('exits with 1 when the port is taken, and says which flag', async () => {
    const busy = Object.assign(new Error('listen EADDRINUSE: address already in use 127.0.0.1:1'), {
      code: 'EADDRINUSE',
    });
    const { fake, status } = run([], () => Promise.reject(busy));
    expect(await status).toBe(1);
    expect(fake.err).toContain('127.0.0.1:1: is another etcd or kvorum running? See --listen-');
  });

  it('prints file, offset and remedy of damage on one line and exits with 1', async () => {
    const damage = new StorageError('the log is damaged', {
      path: '/d/member/wal/0.wal',
      offset: 4096,
      remedy: 'Restore this member from another one.',
    });
    const { fake, status } = run([], () => Promise.reject(damage));
    expect(await status).toBe(1);
    expect(fake.err).toBe(
      'kvorum: the log is damaged: /d/member/wal/0.wal at offset 4096. ' +
        'Restore this member from another one.\n',
    );
  });

  it('ends the start at a signal, and waits until that has ended', async () => {
    let ended = false;
    const { fake, status } = run([], async (_config, _logger, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      await settle();
      ended = true;
      throw signal.reason;
    });
    await settle();
    fake.signal('SIGINT');
    expect(await status).toBe('SIGINT');
    expect(ended).toBe(true);
    expect(fake.err).toBe('');
  });

  it('reads files again at a hang-up, and ends nothing', async () => {
    let finish = (_node: RunningNode): void => {};
    const started = new Promise<RunningNode>((resolve) => {
      finish = resolve;
    });
    const { fake, node, status } = run([], () => started);
    await settle();
    fake.hangUp();
    finish(node);
    await settle();
    expect(node.rereads).toBe(0);
    fake.hangUp();
    fake.hangUp();
    await settle();
    expect([node.rereads, node.stops, fake.exits]).toEqual([2, 0, []]);
    fake.signal('SIGTERM');
    expect(await status).toBe('SIGTERM');
  });

  it('stops the server of a start that was just too late to be ended', async () => {
    const node = new FakeNode();
    let finish = (_node: RunningNode): void => {};
    const started = new Promise<RunningNode>((resolve) => {
      finish = resolve;
    });
    const { fake, status } = run([], () => started);
    await settle();
    fake.signal('SIGTERM');
    await settle();
    finish(node);
    expect(await status).toBe('SIGTERM');
    expect(node.stops).toBe(1);
    expect(fake.out).toBe('');
    expect(fake.told).not.toContain('READY=1');
  });

  it('gives up on a start that can not be ended', async () => {
    const { fake, status } = run([], () => new Promise(() => {}));
    await settle();
    fake.signal('SIGTERM');
    await settle();
    fake.fireTimers();
    expect(await status).toBe(1);
  });
});

describe('a running server', () => {
  it('says where it is and what to try, tells systemd, and stops when asked', async () => {
    const { fake, node, status } = run();
    await settle();
    expect(fake.out).toContain(`kvorum ${kvorumVersion}`);
    expect(fake.out).toContain('client   http://127.0.0.1:2379');
    expect(fake.out).toContain('data     /abs/default.etcd   (new, 1 member)');
    expect(fake.out).toContain('try:  etcdctl put hello world');
    expect(fake.told).toEqual(['READY=1']);
    fake.signal('SIGTERM');
    expect(await status).toBe('SIGTERM');
    expect(node.stops).toBe(1);
    expect(fake.told).toEqual(['READY=1', 'STOPPING=1']);
    expect(fake.exits).toEqual([]);
  });

  it('prints nothing for people where nobody reads it: both outputs may be one file', async () => {
    const fake = new FakeProcess();
    const io = { ...fake.io, isTerminal: false };
    const status = runServerCommand(quiet, {}, io, async () => new FakeNode());
    await settle();
    fake.signal('SIGTERM');
    expect(await status).toBe('SIGTERM');
    expect(fake.out).toBe('');
  });

  it('prints nothing for people where a log is to be parsed', async () => {
    const { fake, status } = run(['--log-outputs=stdout']);
    await settle();
    fake.signal('SIGTERM');
    await status;
    expect(fake.out).toBe('');
  });

  it('ends at once at the second signal', async () => {
    const { fake, node, status } = run();
    node.stopping = () => new Promise(() => {});
    await settle();
    fake.signal('SIGINT');
    await settle();
    expect(fake.exits).toEqual([]);
    fake.signal('SIGINT');
    expect(fake.exits).toEqual(['SIGINT']);
    fake.fireTimers();
    expect(await status).toBe(1);
  });

  it('gives up on a stop that takes too long', async () => {
    const { fake, node, status } = run();
    node.stopping = () => new Promise(() => {});
    await settle();
    fake.signal('SIGTERM');
    await settle();
    fake.fireTimers();
    expect(await status).toBe(1);
  });

  it('exits with 1 when the disk fails under it', async () => {
    const { fake, node, status } = run();
    await settle();
    node.fail(new StorageError('fsync failed', { path: '/d/0.wal', remedy: 'Check the disk.' }));
    expect(await status).toBe(1);
    expect(fake.err).toBe('kvorum: fsync failed: /d/0.wal. Check the disk.\n');
  });

  it('exits with 70 when an invariant breaks', async () => {
    const { fake, node, status } = run();
    await settle();
    node.fail(new InvariantError('commit went back'));
    expect(await status).toBe(70);
    expect(fake.err).toContain('invariant violated: commit went back');
    expect(node.stops).toBe(0);
  });

  it('exits with 70 for what nobody caught', async () => {
    const { fake } = run();
    await settle();
    fake.uncaught(new TypeError('x is undefined'));
    expect(fake.exits).toEqual([70]);
    expect(fake.err).toContain('uncaught error: x is undefined');
  });
});

describe('exit status', () => {
  it.each([
    [new EtcdError('CORRUPT'), 1, false],
    [new MemberRemovedError(5n), 0, false],
    [Object.assign(new Error('no space'), { code: 'ENOSPC' }), 1, false],
    [new TypeError('boom'), 1, true],
    ['a string', 1, true],
  ])('of %s', (error, exitCode, isBug) => {
    expect(failureOf(error)).toMatchObject({ exitCode, isBug });
  });
});

describe('sd_notify', () => {
  let dir = '';
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-notify-'));
  });
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });

  const fakeSystemdNotify = (exitCode: number) => {
    const program = join(dir, 'systemd-notify');
    const seen = join(dir, 'seen');
    writeFileSync(program, `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${seen}\nexit ${exitCode}\n`);
    chmodSync(program, 0o755);
    return () => readFileSync(seen, 'utf8');
  };

  it('is not sent unless it is asked for', async () => {
    const seen = fakeSystemdNotify(0);
    expect(await notifySystemd('READY=1', { PATH: dir })).toBe('unasked');
    expect(seen).toThrow();
  });

  it('goes through systemd-notify where there is one', async () => {
    const seen = fakeSystemdNotify(0);
    const env = { PATH: `${dir}${delimiter}/bin`, NOTIFY_SOCKET: '/run/x' };
    expect(await notifySystemd('READY=1', env)).toBe('sent');
    expect(seen()).toBe('/run/x READY=1\n');
  });

  it('fails quietly where nothing can send it', async () => {
    expect(await notifySystemd('READY=1', { PATH: dir, NOTIFY_SOCKET: '/run/x' })).toBe('failed');
    expect(await notifySystemd('READY=1', { PATH: dir, NOTIFY_SOCKET: '-x' })).toBe('failed');
  });

  const missing = (program: string) => spawnSync(program, ['--version']).error !== undefined;
  const noPython = missing('python3');
  const why = noPython ? ' (skipped: no python3 on PATH)' : '';

  describe.skipIf(noPython)(`reaches a datagram socket${why}`, () => {
    const receiver = [
      'import socket,sys',
      's=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)',
      'a=sys.argv[1]',
      's.bind(chr(0)+a[1:] if a[0]=="@" else a)',
      'print("bound",flush=True)',
      // systemd-notify sends a second datagram and waits until it has been taken, too.
      'while True: print(s.recv(100).decode(),flush=True)',
    ].join('\n');
    const listen = async (socket: string) => {
      const child = spawn('python3', ['-c', receiver, socket]);
      children.push(child);
      let text = '';
      const wanted = (pattern: RegExp) =>
        new Promise<string>((resolve, reject) => {
          const look = () => {
            if (pattern.test(text)) resolve(text);
          };
          child.stdout.on('data', (chunk: Buffer) => {
            text += chunk.toString();
            look();
          });
          child.once('exit', () => (pattern.test(text) ? resolve(text) : reject(new Error(text))));
          look();
        });
      await wanted(/bound/);
      return () => wanted(/=1/);
    };

    /** PATH with only `program` in it, so that no other sender can answer for it. */
    const only = (program: string) => {
      const found = spawnSync('sh', ['-c', `command -v ${program}`])
        .stdout.toString()
        .trim();
      const target = found.includes('/shims/') ? realPython() : found;
      writeFileSync(join(dir, program), `#!/bin/sh\nexec ${target} "$@"\n`, { mode: 0o755 });
      return dir;
    };
    const realPython = () =>
      spawnSync('python3', ['-c', 'import sys;print(sys.executable)']).stdout.toString().trim();

    for (const program of ['systemd-notify', 'python3', 'perl']) {
      const absent = missing(program);
      const note = absent ? ` (skipped: no ${program})` : '';
      it.skipIf(absent)(`with ${program}${note}`, async () => {
        const socket = join(dir, 'notify.sock');
        const received = await listen(socket);
        const env = { PATH: only(program), NOTIFY_SOCKET: socket };
        expect(await notifySystemd('READY=1', env)).toBe('sent');
        expect(await received()).toContain('READY=1');
      });
    }

    it.skipIf(process.platform !== 'linux')('in the abstract name space', async () => {
      const socket = `@kvorum-test-${dirname(dir).length}-${process.pid}`;
      const received = await listen(socket);
      const env = { PATH: only('python3'), NOTIFY_SOCKET: socket };
      expect(await notifySystemd('STOPPING=1', env)).toBe('sent');
      expect(await received()).toContain('STOPPING=1');
    });
  });
});
