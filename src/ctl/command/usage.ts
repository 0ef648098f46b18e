/** The help of a command, in the form that cobra has: what follows an error of the line, too. */

import type { Command } from './command.js';
import { durationText } from './duration.js';
import type { Flag, Flags } from './flags.js';

/** The help of `command`: what it does, its usage, and where the other flags are told of. */
export function helpText(command: Command, path: string): string {
  const head = command.long === '' ? command.short : command.long;
  const [program] = path.split(' ');
  const more = `Use "${program} options" for the flags that all commands have.`;
  return `${head}\n\n${usageText(command, path)}${more}\n`;
}

/** The usage of `command`, which is called `path` ('etcdctl lease grant'). */
export function usageText(command: Command, path: string): string {
  const lines = ['Usage:'];
  const own = command.usage === '' ? '' : ` ${command.usage}`;
  if (command.commands.length === 0) lines.push(`  ${path}${own} [flags]`);
  else lines.push(`  ${path} [command]`, ...commandLists(command));
  if (command.aliases.length > 0) {
    lines.push('', 'Aliases:', `  ${[command.name, ...command.aliases].join(', ')}`);
  }
  lines.push('', 'Flags:', flagTable(withHelp(command)));
  if (command.commands.length > 0) {
    lines.push('', `Use "${path} [command] --help" for more information about a command.`);
  }
  return `${lines.join('\n')}\n`;
}

function commandLists(command: Command): string[] {
  const groups = new Map<string, Command[]>();
  for (const one of command.commands) {
    const title = one.group === '' ? 'Available Commands:' : one.group;
    groups.set(title, [...(groups.get(title) ?? []), one]);
  }
  const width = Math.max(...command.commands.map(({ name }) => name.length), 11);
  const list = (commands: readonly Command[]) =>
    [...commands]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, short }) => `  ${name.padEnd(width)} ${short}`);
  return [...groups].flatMap(([title, commands]) => ['', title, ...list(commands)]);
}

function withHelp({ name, flags }: Command): Flags {
  const help: Flag = { kind: 'bool', byDefault: false, help: `help for ${name}`, short: 'h' };
  return { ...flags, help };
}

/** As pflag lists flags: sorted, types named, defaults that are not zero. */
export function flagTable(flags: Flags): string {
  const shown = Object.entries<Flag>(flags)
    .filter(([, { hidden }]) => hidden !== true)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const rows = shown.map(([flagName, declared]) => {
    const short = declared.short === undefined ? '    ' : `-${declared.short}, `;
    const type = typeNames[declared.kind];
    const left = `  ${short}--${flagName}${type === '' ? '' : ` ${type}`}`;
    return [left, `${declared.help}${defaultText(declared)}`] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${left.padEnd(width)}   ${right}`).join('\n');
}

const typeNames: Readonly<Record<Flag['kind'], string>> = {
  bool: '',
  string: 'string',
  strings: 'strings',
  int64: 'int',
  uint64: 'uint',
  int: 'int',
  duration: 'duration',
};

function defaultText({ kind, byDefault }: Flag): string {
  if (kind === 'string') return byDefault === '' ? '' : ` (default ${JSON.stringify(byDefault)})`;
  if (kind === 'strings') {
    const list = byDefault as readonly string[];
    return list.length === 0 ? '' : ` (default [${list.join(',')}])`;
  }
  if (kind === 'duration') {
    return byDefault === 0 ? '' : ` (default ${durationText(Number(byDefault))})`;
  }
  return byDefault ? ` (default ${String(byDefault)})` : '';
}
