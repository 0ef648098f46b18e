/**
 * A line on the terminal that says how far long work has come, how fast it is and how long it
 * still takes. Only on a terminal, and on stderr: what is printed is the same with it and without.
 */

import { amountText, type CtlIo, durationText } from '../command/index.js';

/** What is shown. */
export interface ProgressOptions {
  /** What is going on: `saving`. */
  readonly title: string;
  /** How much there is to do; it may be known only later. */
  readonly total?: number;
  /** What is counted: `keys`. `bytes` are shown as kB, MB, ...; with '' only the title is there. */
  readonly unit: string;
}

/** Work under way. */
export interface Progress {
  /** So much more is done. */
  advance(amount: number): void;
  /** So much is done in all; and so much there is to do. */
  set(amount: number, total?: number): void;
  /** Takes the line away, and says how it ended, if there is something to say. */
  end(text?: string): void;
}

/** Often enough to be seen moving, seldom enough to cost nothing. */
const redrawMs = 100;
/** Before that a rate is chance. */
const rateFromMs = 500;
const barCells = 24;
const clearLine = '\r\u001b[K';

/** Shows work that begins now. Its `end` is for a `finally`: it may be called twice. */
export function progress(
  io: Pick<CtlIo, 'clock' | 'stderr' | 'terminal'>,
  options: ProgressOptions,
): Progress {
  if (!io.terminal.err) return silent;
  const { clock } = io;
  const startMs = clock.nowMs();
  let done = 0;
  let { total } = options;
  let drawnMs = Number.NEGATIVE_INFINITY;
  let ended = false;

  const draw = (): void => {
    const nowMs = clock.nowMs();
    if (ended || nowMs - drawnMs < redrawMs) return;
    drawnMs = nowMs;
    const line = lineOf(options, done, total, nowMs - startMs);
    // A line that wraps could not be taken away.
    io.stderr(`${clearLine}${line.slice(0, Math.max(0, io.terminal.columns - 1))}`);
  };

  draw();
  return {
    advance(amount) {
      done += amount;
      draw();
    },
    set(amount, ofAll) {
      done = amount;
      total = ofAll ?? total;
      draw();
    },
    end(text) {
      if (ended) return;
      ended = true;
      io.stderr(text === undefined ? clearLine : `${clearLine}${text}\n`);
    },
  };
}

const silent: Progress = {
  advance() {},
  set() {},
  end() {},
};

function lineOf(
  { title, unit }: ProgressOptions,
  done: number,
  total: number | undefined,
  elapsedMs: number,
): string {
  if (unit === '') return title;
  const perMs = elapsedMs < rateFromMs ? 0 : done / elapsedMs;
  const rate = perMs > 0 ? `  ${amountText(perMs * 1_000, unit)}/s` : '';
  if (total === undefined || total <= 0) {
    return `${title}  ${amountText(done, unit)}${rate}`;
  }
  const share = Math.min(1, done / total);
  const full = Math.floor(share * barCells);
  const bar = `${'━'.repeat(full)}${'─'.repeat(barCells - full)}`;
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const amounts = `${amountText(done, unit)} of ${amountText(total, unit)}`;
  const leftMs = perMs > 0 ? Math.max(0, total - done) / perMs : undefined;
  const left =
    leftMs === undefined ? '' : `  ${durationText(Math.ceil(leftMs / 1_000) * 1_000)} left`;
  return `${title}  ${bar} ${percent}  ${amounts}${rate}${left}`;
}
