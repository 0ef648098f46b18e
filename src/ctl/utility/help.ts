/** `help` and `options`. */

import {
  command,
  findCommand,
  flagTable,
  globalFlags,
  helpText,
  ownGlobalFlags,
  usageText,
} from '../command/index.js';

export const helpCommand = command({
  name: 'help',
  usage: '[command]',
  short: 'Shows what a command does',
  group: 'Utility commands',
  async run({ io, root, program }, args) {
    const found = findCommand(args, root.commands, program);
    if (found.unknown === undefined) {
      await io.stdout(helpText(found.command ?? root, found.path.join(' ')));
      return undefined;
    }
    io.stderr(`Unknown help topic [${args.map((arg) => `\`${arg}\``).join(' ')}]\n`);
    io.stderr(usageText(root, program));
    return undefined;
  },
});

export const optionsCommand = command({
  name: 'options',
  short: 'Shows the flags that all commands have',
  group: 'Utility commands',
  async run({ io, program }) {
    const all = Object.entries(globalFlags);
    const known = all.filter(([name]) => program !== 'etcdctl' || !ownGlobalFlags.has(name));
    await io.stdout('All commands have these flags:\n\n');
    await io.stdout(`${flagTable(Object.fromEntries(known))}\n`);
    return undefined;
  },
});
