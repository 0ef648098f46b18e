/** All commands, in the order of the help. A group of them is a folder; see command/command.ts. */

import { type Command, command } from './command/index.js';
import { replaceCommand } from './members/index.js';
import { versionCommands } from './version/index.js';

export const commands: readonly Command[] = withMember(versionCommands, replaceCommand);

/** The same with one more subcommand of `member`, which is of another group. */
function withMember(list: readonly Command[], added: Command): readonly Command[] {
  const name = 'member';
  const known =
    list.find((one) => one.name === name) ??
    command({ name, short: 'Membership related commands', group: 'Cluster maintenance commands' });
  const member = { ...known, commands: [...known.commands, added] };
  return [...list.filter((one) => one !== known), member];
}
