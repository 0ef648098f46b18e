/**
 * The command `kvorum`: from the command line to a running server and back. Everything of the
 * process (signals, exit, standard streams) comes in through {@link CommandIo}, so that a test can
 * run it without being one.
 *
 * A signal ends the process at any moment, also while it starts: in order, and then by that very
 * signal, which is how etcd ends. A second one ends it at once. Exit status otherwise: 0 there is
 * nothing left to do; 1 the environment or the disk failed; 2 asked for wrongly; 70 a bug.
 */

import { invariantExitCode, type Logger } from '../../common/index.js';
import {
  buildConfig,
  createLogger,
  type Environment,
  type FlushableLogger,
  helpText,
  kvorumVersion,
  parseCommandLine,
  type RunningServer,
  type ServerConfig,
  versionText,
} from '../../server/index.js';
import type { CommandIo, ExitStatus, StopSignal } from '../command-io.js';
import { type Failure, failureOf } from '../failure.js';
import { banner } from './banner.js';

/** What the command needs of a server that runs. */
export type RunningNode = Pick<
  RunningServer,
  'clientUrls' | 'isNewData' | 'failed' | 'rereadFiles' | 'stop'
>;

/** Starts a server; resolves once it serves, rejects soon when the signal aborts. */
export type StartNode = (
  config: ServerConfig,
  logger: Logger,
  signal: AbortSignal,
) => Promise<RunningNode>;

/** An orderly stop, of a server or of its start, that takes longer than this is not one. */
const stopMsMax = 30_000;

/** Runs until the server has stopped; resolves with how the process should end. */
export async function runServerCommand(
  argv: readonly string[],
  env: Environment,
  io: CommandIo,
  start: StartNode,
): Promise<ExitStatus> {
  const startedMs = io.clock.nowMs();
  let config: ServerConfig;
  let logger: FlushableLogger;
  try {
    const line = parseCommandLine(argv, env, io.readFile);
    if (line.kind === 'help') return print(io, helpText());
    if (line.kind === 'version') return print(io, versionText(io.runtime));
    config = buildConfig(line.flags, io.readFile);
    logger = openLogger(config, io);
  } catch (error) {
    return fail(failureOf(error), io);
  }
  const status = await runNode({ config, logger, io, start, startedMs });
  await written(logger, io);
  return status;
}

/** A reader of the log that has stalled is not waited for. */
async function written(logger: FlushableLogger, io: CommandIo): Promise<void> {
  const late = new Promise<void>((resolve) => void io.clock.after(writtenMsMax, resolve));
  await Promise.race([logger.end(), late]);
}

const writtenMsMax = 5_000;

function print(io: CommandIo, text: string): number {
  io.stdout(text);
  return 0;
}

function fail(failure: Failure, io: CommandIo): number {
  io.stderr(`kvorum: ${failure.message}\n`);
  return failure.exitCode;
}

function openLogger(config: ServerConfig, io: CommandIo): FlushableLogger {
  return createLogger({
    level: config.logLevel,
    format: config.logFormat,
    outputs: config.logOutputs,
    clock: io.clock,
    rotation: config.logRotation,
    openFile: io.openAppend,
  });
}

interface Run {
  readonly config: ServerConfig;
  readonly logger: FlushableLogger;
  readonly io: CommandIo;
  readonly start: StartNode;
  readonly startedMs: number;
}

/** Why a run ends. */
type End = { readonly signal: StopSignal } | { readonly error: unknown };

async function runNode(run: Run): Promise<ExitStatus> {
  const { config, logger, io } = run;
  const stopping = new AbortController();
  const signalled = listen(run);
  void signalled.then(({ signal }) => {
    logger.info('stopping', { signal });
    stopping.abort(new Error(`stopped by ${signal}`));
  });
  for (const warning of config.warnings) logger.warn(warning);
  let running: RunningNode | undefined;
  io.onHangUp(() => {
    logger.info('hang-up signal: reading certificates again');
    // What is still starting has only just read them.
    void running?.rereadFiles();
  });
  const starting = run.start(config, logger, stopping.signal);
  let node: RunningNode;
  try {
    // A start that hangs is ended even if it does not end itself.
    const first = await Promise.race([starting, signalled.then(() => inTime(run, starting))]);
    if (first === 'late') return failLate(run);
    node = first;
  } catch (error) {
    return stopping.signal.aborted
      ? endStart(run, await signalled, error, stopping.signal.reason)
      : finish(run, undefined, { error });
  }
  if (stopping.signal.aborted) return finish(run, node, await signalled);
  running = node;
  announce(run, node);
  if ((await io.notify('READY=1')) === 'failed') {
    logger.warn('systemd could not be told that the server is ready');
  }
  const failed = node.failed.then((error) => ({ error }));
  return finish(run, node, await Promise.race([signalled, failed]));
}

/** Resolves with the first signal; a second one, or an error nobody caught, ends the process. */
function listen(run: Run): Promise<{ readonly signal: StopSignal }> {
  const { io, logger } = run;
  const exit = (status: ExitStatus) => {
    logger.flush();
    io.exit(status);
  };
  io.onUncaught((error) => {
    // Nothing is known about the state any more; what was promised is on disk.
    logger.error('uncaught error: this is a bug', { error });
    io.stderr(`kvorum: uncaught error: ${failureOf(error).message}\n`);
    exit(invariantExitCode);
  });
  return new Promise((resolve) => {
    let signals = 0;
    io.onSignal((signal) => {
      signals += 1;
      if (signals === 1) {
        resolve({ signal });
        return;
      }
      logger.warn('second signal: ending at once', { signal });
      exit(signal);
    });
  });
}

const failedStopExitCode = 1;

function announce(run: Run, node: RunningNode): void {
  const { config, io, logger } = run;
  const readyMs = io.clock.nowMs() - run.startedMs;
  const dataDir = io.absolute(config.dataDir);
  const { clientUrls, isNewData } = node;
  // etcd's words: scripts wait for them.
  logger.info('ready to serve client requests', {
    version: kvorumVersion,
    name: config.name,
    dataDir,
    clientUrls,
    tookMs: Math.round(readyMs),
  });
  // Lines for people would break a log that somebody parses; both may go into one file.
  if (!io.isTerminal || config.logOutputs.includes('stdout')) return;
  const { nodeVersion, platform, architecture } = io.runtime;
  const runtime = `node ${nodeVersion} ${platform}-${architecture}`;
  io.stdout(banner({ config, clientUrls, dataDir, isNewData, readyMs, runtime }));
}

/** A start that was asked to end has ended with `error`. */
function endStart(
  { logger }: Run,
  { signal }: { readonly signal: StopSignal },
  error: unknown,
  reason: unknown,
): ExitStatus {
  // It may have failed by itself just then.
  if (error !== reason) logger.warn('the start failed while it was being stopped', { error });
  logger.info('stopped');
  return signal;
}

async function finish(run: Run, node: RunningNode | undefined, end: End): Promise<ExitStatus> {
  const { io, logger } = run;
  if ('error' in end) {
    const failure = failureOf(end.error);
    logger.error('stopped because of an error', {
      error: failure.isBug ? end.error : failure.message,
    });
    const code = fail(failure, io);
    await written(logger, io);
    // Its sockets would keep the process alive, for clients that nobody answers any more.
    if (node !== undefined) io.exit(code);
    return code;
  }
  if (node === undefined) return end.signal;
  const told = io.notify('STOPPING=1');
  try {
    if ((await inTime(run, node.stop())) === 'late') return failLate(run);
  } catch (error) {
    logger.error('stopping failed', { error });
    return fail(failureOf(error), io);
  }
  await told;
  logger.info('stopped');
  return end.signal;
}

/** The result of what ends a server, or 'late'. */
function inTime<T>({ io }: Run, ending: Promise<T>): Promise<T | 'late'> {
  const late = new Promise<'late'>((resolve) => {
    io.clock.after(stopMsMax, () => resolve('late'));
  });
  return Promise.race([ending, late]);
}

function failLate({ logger }: Run): ExitStatus {
  logger.error('the server did not stop in time', { waitedMs: stopMsMax });
  return failedStopExitCode;
}
