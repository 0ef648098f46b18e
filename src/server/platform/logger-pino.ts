/**
 * The Logger port over pino, with the fields that etcd's zap logger writes (level, ts, msg), so
 * that log pipelines made for etcd keep working. The only import of pino.
 *
 * Lines leave asynchronously with a bounded buffer: a reader of stderr that stalls must not stall
 * the node. Beyond the bound lines are dropped; `flush` writes out what is waiting.
 */

import { destination, pino } from 'pino';
import type { Clock, Logger } from '../../common/index.js';
import type { LogLevel, LogRotation } from '../options/index.js';
import type { LineSink } from './line-sink.js';
import { openRotatingLog } from './rotating-log.js';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'console';
  /** 'stderr', 'stdout' or a path. */
  readonly outputs: readonly string[];
  readonly clock: Pick<Clock, 'wallMs'>;
  /** Of the path; undefined: it grows for ever. */
  readonly rotation?: LogRotation | undefined;
  /** Opens a file for appending; its descriptor. Throws as node:fs does. */
  openFile(path: string): number;
}

/** A logger that the process can flush before it ends. */
export interface FlushableLogger extends Logger {
  /**
   * Writes what is waiting, synchronously; never throws. A line that is being written at that very
   * moment may still be on its way: where there is time, `end`.
   */
  flush(): void;
  /** Resolves once every line has been written, as far as they can be; later ones are dropped. */
  end(): Promise<void>;
}

/** A logger as the flags ask for it; throws what `openFile` throws. */
export function createLogger(options: LoggerOptions): FlushableLogger {
  const sinks = options.outputs.map((output) => openSink(output, options));
  return loggerTo(sinks, options);
}

const backlogBytesMax = 4 * 1024 * 1024;

function openSink(output: string, options: LoggerOptions): LineSink {
  const standard = output === 'stdout' ? 1 : output === 'stderr' ? 2 : undefined;
  const { rotation } = options;
  if (standard === undefined && rotation !== undefined) {
    return openRotatingLog(output, { ...options, rotation, backlogBytesMax });
  }
  const fd = standard ?? options.openFile(output);
  const sink = destination({ fd, sync: false, minLength: 0, maxLength: backlogBytesMax });
  // A log that can't be written (disk full, reader gone) is no reason to stop serving.
  sink.on('error', () => {});
  return sink;
}

/**
 * Lines into a file that is appended to, each written before `write` returns. Throws as node:fs
 * does if it can't be opened; what goes wrong later is told, and lines are dropped.
 */
export function appendLines(path: string, onError: (error: unknown) => void): LineSink {
  const maxLength = backlogBytesMax;
  const sink = destination({ dest: path, append: true, mode: 0o600, sync: true, maxLength });
  sink.on('error', onError);
  return sink;
}

/** As {@link createLogger}, to given sinks. */
export function loggerTo(
  sinks: readonly LineSink[],
  options: Pick<LoggerOptions, 'level' | 'format' | 'clock'>,
): FlushableLogger {
  const inConsoleFormat = options.format === 'console';
  let hasEnded = false;
  const stream = {
    write(line: string) {
      if (hasEnded) return;
      const text = inConsoleFormat ? consoleLine(line) : line;
      for (const sink of sinks) sink.write(text);
    },
  };
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"ts":"${new Date(options.clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  return {
    debug: (message, fields) => log.debug(plain(fields, false), message),
    info: (message, fields) => log.info(plain(fields, false), message),
    warn: (message, fields) => log.warn(plain(fields, false), message),
    error: (message, fields) => log.error(plain(fields, true), message),
    async end() {
      if (hasEnded) return;
      hasEnded = true;
      await Promise.all(sinks.map(ended));
    },
    flush() {
      if (hasEnded) return;
      for (const sink of sinks) {
        try {
          sink.flushSync();
        } catch {
          // The reader is gone; there is nobody to tell.
        }
      }
    },
  };
}

function ended(sink: LineSink): Promise<void> {
  return new Promise((resolve) => {
    sink.once('close', resolve);
    sink.once('error', resolve);
    try {
      sink.end();
    } catch {
      resolve(); // it has ended before
    }
  });
}

/** A safety net only: nobody should pass these at all. */
const secretNames: ReadonlySet<string> = new Set([
  'password',
  'new-password',
  'hashed-password',
  'token',
  'authorization',
  'key-pem',
  'private-key',
]);

/** Fields as JSON can hold them: errors as their message, ids as hex, bytes as their length. */
function plain(
  fields: Readonly<Record<string, unknown>> | undefined,
  withStack: boolean,
): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [given, value] of Object.entries(fields ?? {})) {
    const name = kebabCase(given);
    if (secretNames.has(name)) out[name] = '[not logged]';
    else if (value instanceof Error) {
      out[name] = value.message;
      if (withStack && value.stack !== undefined) out.stacktrace = value.stack;
    } else if (typeof value === 'bigint') out[name] = BigInt.asUintN(64, value).toString(16);
    else if (value instanceof Uint8Array) out[name] = `${value.length} bytes`;
    else out[name] = value;
  }
  return out;
}

/** etcd's fields are in kebab case; ours are variables, mostly. */
function kebabCase(name: string): string {
  return name
    .replace(/(?<=[a-z\d])[A-Z]/g, '-$&')
    .replaceAll('_', '-')
    .toLowerCase();
}

/** `ts LEVEL message key=value ...`, for eyes. */
function consoleLine(line: string): string {
  const { level, ts, msg, stacktrace, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const fields = Object.entries(rest).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return ` ${name}=${/^[\w./:-]*$/.test(text) ? text : JSON.stringify(text)}`;
  });
  const stack = typeof stacktrace === 'string' ? `\n${stacktrace}` : '';
  const head = `${String(ts)} ${String(level).toUpperCase().padEnd(5)} ${printable(String(msg))}`;
  return `${head}${fields.join('')}${stack}\n`;
}

/** One line stays one line, whatever somebody put into a message. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f]/g, (c) => JSON.stringify(c).slice(1, -1));
}
