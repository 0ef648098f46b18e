/**
 * A screen that is drawn again and again: lines over lines, so that nothing flickers, on the
 * terminal's second screen, so that what stood there before is there again afterwards.
 */

import { sleep } from '../../common/index.js';
import type { CtlIo, TerminalKeys } from '../command/index.js';

/** Begins what moves the cursor. */
const csi = '\u001b[';
const open = `${csi}?1049h${csi}?25l`;
const close = `${csi}?25h${csi}?1049l`;
const home = `${csi}H`;
const restOfLine = `${csi}K`;
const restOfScreen = `${csi}J`;

export interface LiveOptions {
  readonly io: CtlIo;
  readonly keys: TerminalKeys;
  readonly intervalMs: number;
  /** Ends it, too. */
  readonly ended?: AbortSignal;
  /** The lines to show, of a terminal of that size. Called anew at each interval. */
  readonly look: () => Promise<void>;
  readonly lines: (size: { readonly columns: number; readonly rows: number }) => readonly string[];
  /** True: something is shown in another way. */
  readonly press: (key: string) => boolean;
}

/**
 * Shows until q, an interrupt or `ended`; resolves with true if somebody left. The terminal is
 * given back as it was, whatever happens.
 */
export async function showLive(options: LiveOptions): Promise<boolean> {
  const { io, keys, intervalMs, press } = options;
  const left = new AbortController();
  const given = options.ended === undefined ? [] : [options.ended];
  const ended = AbortSignal.any([io.interrupted, left.signal, ...given]);
  const draw = async (): Promise<void> => {
    const size = keys.size();
    const lines = options.lines(size).slice(0, size.rows);
    const text = lines.map((line) => `${line}${restOfLine}`).join('\r\n');
    await io.stdout(`${home}${text}${restOfScreen}`);
  };
  const reading = keys.read((key) => {
    if (key === 'q' || key === 'ctrl-c') left.abort();
    else if (press(key)) void draw();
  });
  try {
    await io.stdout(open);
    while (!ended.aborted) {
      await options.look();
      if (ended.aborted) break;
      await draw();
      await sleep(io.clock, intervalMs, ended);
    }
  } finally {
    reading.stop();
    await io.stdout(close);
  }
  return left.signal.aborted;
}
