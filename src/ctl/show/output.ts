/** The two forms that our own commands print: text for people, and JSON. */

import { type CommandContext, CommandError, exit } from '../command/index.js';

/** `text` or `json`. Throws CommandError for what only etcdctl's commands print. */
export function formOf({ global }: CommandContext, command: string): 'text' | 'json' {
  const wanted = global['write-out'];
  if (wanted === 'json') return 'json';
  if (wanted === 'simple' || wanted === 'table') return 'text';
  throw new CommandError(`${command} prints simple or json, not ${wanted}`, exit.badArguments);
}

/** One line of JSON; ids, which JSON's numbers can't hold, are in hexadecimal digits. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? one.toString(16) : one))}\n`;
}
