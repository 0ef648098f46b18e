/** The program `kvorum`: gives the command its process. `bin/kvorum` imports this to run it. */

import { resolve } from 'node:path';
import {
  checkBootstrap,
  isUnused,
  nodeClock,
  nodePorts,
  notifySystemd,
  startServer,
} from '../server/index.js';
import { openAppend, readFile } from './files.js';
import { runRestoreCommand } from './restore-command.js';
import { type CommandIo, runServerCommand, type StartNode } from './server-command.js';

/** Does what `argv` and `env` say, by default running a server; resolves with the exit status. */
export async function main(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  // No timer of the server keeps the process alive, and before it listens nothing else does.
  const alive = setInterval(() => {}, aliveMs);
  try {
    const io = processIo(env);
    const [command, ...rest] = argv;
    if (command === 'restore') return await runRestoreCommand(rest, io, nodePorts);
    return await runServerCommand(argv, env, io, startHere);
  } finally {
    clearInterval(alive);
  }
}

const aliveMs = 24 * 3_600_000;

const startHere: StartNode = async (config, logger) => {
  const ports = nodePorts(config, logger);
  // Later starts take the cluster from the data, whatever the flags say by then.
  if (await isUnused(ports.disk, config)) checkBootstrap(config);
  return startServer(config, ports);
};

function processIo(env: Readonly<Record<string, string | undefined>>): CommandIo {
  // A reader that went away (`kvorum | head`) must not take the server with it.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  return {
    clock: nodeClock,
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    readFile,
    openAppend,
    absolute: (path) => resolve(path),
    onSignal(handler) {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, handler);
    },
    onUncaught(handler) {
      process.on('uncaughtException', handler);
      process.on('unhandledRejection', handler);
    },
    exit: (code) => process.exit(code),
    notify: (state) => notifySystemd(state, env),
    runtime: {
      nodeVersion: process.version,
      platform: process.platform,
      architecture: process.arch,
    },
  };
}

// What is written to a pipe leaves asynchronously, so the process ends by itself if it can.
process.exitCode = await main(process.argv.slice(2), process.env);
