/**
 * The program `kvorum`: gives the command its process, and ends that when the command has ended:
 * whatever is still open by then is of use to nobody. `bin/kvorum` loads and runs it (src/launch).
 */

import { resolve } from 'node:path';
import { type Logger, warmUpMs } from '../common/index.js';
import { type CtlIo, isCommandLine, runCtl } from '../ctl/index.js';
import { nodeClock, nodeNetwork, nodePorts, notifySystemd, startServer } from '../server/index.js';
import type { CommandIo, ExitStatus } from './command-io.js';
import { ctlIo } from './ctl-io.js';
import { openAppend, readFile } from './files.js';
import { runJoinCommand } from './join/index.js';
import { nodeMachine, runRestoreCommand } from './restore/index.js';
import { runServerCommand, type StartNode } from './server/index.js';
import { snapshotsOf } from './snapshots.js';
import type { Program } from './up/index.js';
import { warmUp } from './warm-up/index.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** What V8 has compiled of this program. */
interface CompiledCode {
  /** It was there when the program started. */
  readonly isKept: boolean;
  /** Called once, when what a server needs has run, and before it serves. False: it can't be. */
  keep(): boolean;
}

/** Does what `argv` and `env` say, and ends the process. */
export function run(argv: readonly string[], env: Environment, code: CompiledCode): void {
  void main(argv, env, code).then(async (status) => {
    await written();
    end(status);
  });
}

/** Does what `argv` and `env` say, by default running a server; resolves with how to end. */
async function main(
  argv: readonly string[],
  env: Environment,
  code: CompiledCode,
): Promise<ExitStatus> {
  // No timer of the server keeps the process alive, and before it listens nothing else does.
  const alive = setInterval(() => {}, aliveMs);
  try {
    const io = processIo(env);
    const [command, ...rest] = argv;
    if (command === 'compile') return await compile(rest, io, code);
    if (command === 'restore') return await runRestoreCommand(rest, io, nodePorts, env);
    if (command === 'server') {
      return await runServerCommand(rest, env, io, startHere(rest, env, code));
    }
    const ctl = (): CtlIo => {
      const its = ctlIo(env, nodeClock, snapshotsOf(io), nodeMachine);
      if (nodeNetwork.resolveSrv !== undefined) its.resolveSrv = nodeNetwork.resolveSrv;
      its.runLocalCluster = async (plan, own) => {
        const { runUp } = await import('./up/index.js');
        return await runUp(plan, own, thisProgram());
      };
      return its;
    };
    if (command === 'join') {
      const ios = { server: io, client: ctl() };
      return await runJoinCommand(rest, env, ios, startHere(rest, env, code));
    }
    // Called `etcdctl`, this is it.
    if (command === 'ctl') return await runCtl(rest, ctl(), 'etcdctl');
    if (command !== undefined && !ofServer.has(command) && isCommandLine(argv)) {
      return await runCtl(argv, ctl(), 'kvorum');
    }
    return await runServerCommand(argv, env, io, startHere(argv, env, code));
  } finally {
    clearInterval(alive);
  }
}

/** What is a command of the server's, though the others have one of that name, too. */
const ofServer: ReadonlySet<string> = new Set(['help', 'version']);

/** How to run this program once more: by Node, or by itself if it is one executable. */
function thisProgram(): Program {
  const { execPath, execArgv } = process;
  const script = process.argv[1];
  const isExecutable = script === undefined || script === execPath;
  return { file: execPath, args: isExecutable ? execArgv : [...execArgv, script] };
}

const aliveMs = 24 * 3_600_000;

/** What takes a while comes before it serves: clients do not see it. */
function startHere(argv: readonly string[], env: Environment, code: CompiledCode): StartNode {
  return async (config, logger, signal) => {
    // With kept code it would cost more than it saves.
    if (config.warmsUp && !code.isKept) await warmedUp(logger, signal);
    code.keep();
    const ports = { ...nodePorts(config, logger, argv), environment: env };
    return startServer(config, ports, { signal });
  };
}

/** `kvorum compile`: for those who may write beside the program, before others run it. */
async function compile(
  rest: readonly string[],
  io: CommandIo,
  code: CompiledCode,
): Promise<ExitStatus> {
  if (rest.length > 0) {
    io.stderr('kvorum: compile takes no arguments\n');
    return 2;
  }
  await warmUp({ clock: nodeClock, budgetMs: compileMs });
  if (code.keep()) return 0;
  io.stderr('kvorum: this user may not write beside the program\n');
  return 1;
}

/** Nobody waits for a server then. */
const compileMs = 1_000;

/** What goes wrong with a scratch member is no reason not to start. */
async function warmedUp(logger: Logger, signal: AbortSignal): Promise<void> {
  try {
    const report = await warmUp({ clock: nodeClock, budgetMs: warmUpMs, signal });
    logger.debug('warmed up', { ...report });
  } catch (error) {
    logger.warn('warming up failed', { error });
  }
}

function processIo(env: Environment): CommandIo {
  // A reader that went away (`kvorum | head`) must not take the server with it.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  return {
    clock: nodeClock,
    isTerminal: process.stdout.isTTY === true,
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    readFile,
    openAppend,
    absolute: (path) => resolve(path),
    onSignal(handler) {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, handler);
    },
    onHangUp(handler) {
      process.on('SIGHUP', handler);
    },
    onUncaught(handler) {
      process.on('uncaughtException', handler);
      process.on('unhandledRejection', handler);
    },
    exit: end,
    notify: (state) => notifySystemd(state, env),
    runtime: {
      nodeVersion: process.version,
      platform: process.platform,
      architecture: process.arch,
    },
  };
}

/** Ends the process now. */
function end(status: ExitStatus): void {
  // The first process of a container is not ended by its own signal; etcd ends with 0 there.
  if (typeof status === 'number' || process.pid === 1) {
    process.exit(typeof status === 'number' ? status : 0);
  }
  process.removeAllListeners(status);
  process.kill(process.pid, status);
}

/** What is written to a pipe leaves later; but a reader that has stalled is not waited for. */
async function written(): Promise<void> {
  const streams = [process.stdout, process.stderr];
  const all = streams.map((stream) => {
    if (!stream.writable) return Promise.resolve();
    return new Promise<void>((resolve) => void stream.write('', () => resolve()));
  });
  const late = new Promise<void>((resolve) => void setTimeout(resolve, writtenMsMax));
  await Promise.race([Promise.all(all), late]);
}

const writtenMsMax = 5_000;
