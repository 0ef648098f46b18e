/** Colours for people, by the escapes of ECMA-48. */

import type { CommandContext } from '../command/index.js';
import type { Paint } from './shown.js';

type Painted = (text: string) => string;

function escapes(on: number, off: number): Painted {
  return (text) => (text === '' ? '' : `\u001b[${on}m${text}\u001b[${off}m`);
}

const coloured: Paint = {
  bold: escapes(1, 22),
  dim: escapes(2, 22),
  red: escapes(31, 39),
  green: escapes(32, 39),
  yellow: escapes(33, 39),
  blue: escapes(34, 39),
  magenta: escapes(35, 39),
  cyan: escapes(36, 39),
};

const same: Painted = (text) => text;

const plain: Paint = {
  ...{ bold: same, dim: same, red: same, green: same },
  ...{ yellow: same, blue: same, magenta: same, cyan: same },
};

/** Nothing is painted if NO_COLOR is set (no-color.org), or if nobody looks. */
export function paintOf({ pretty, io: { env } }: CommandContext): Paint {
  const { NO_COLOR: none = '', TERM: terminal } = env;
  return pretty && none === '' && terminal !== 'dumb' ? coloured : plain;
}
