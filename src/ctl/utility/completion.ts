/**
 * `completion`: scripts with which a shell completes commands and flags. They hold all names, so
 * that no key press waits for this program.
 */

import { type Command, command, exit, globalFlags, LineError } from '../command/index.js';

const shells: Readonly<Record<string, (root: Command) => string>> = {
  bash: bashScript,
  zsh: (root) =>
    `#compdef ${root.name}\n\nautoload -U +X bashcompinit && bashcompinit\n\n${bashScript(root)}`,
  fish: fishScript,
  powershell: powershellScript,
};

export const completionCommand = command({
  name: 'completion',
  usage: '[bash|zsh|fish|powershell]',
  short: 'Prints a script with which a shell completes lines',
  long: [
    'Prints a script with which a shell completes commands and flags. To use it now:',
    '',
    '  bash, zsh:  source <(kvorum completion bash)      (zsh: completion zsh)',
    '  fish:       kvorum completion fish | source',
    '  PowerShell: kvorum completion powershell | Out-String | Invoke-Expression',
    '',
    'To have it always, put that line into ~/.bashrc, ~/.zshrc, ~/.config/fish/config.fish or the',
    'profile of PowerShell.',
  ].join('\n'),
  group: 'Utility commands',
  async run({ io, root, program }, args) {
    if (args.length !== 1) throw new LineError(`accepts 1 arg(s), received ${args.length}`);
    const [shell = ''] = args;
    const script = Object.hasOwn(shells, shell) ? shells[shell] : undefined;
    if (script === undefined) {
      throw new LineError(`invalid argument ${JSON.stringify(shell)} for "${program} completion"`);
    }
    await io.stdout(script(root));
    return exit.ok;
  },
});

interface Place {
  /** The names of commands that lead there, with a space between them. */
  readonly path: string;
  readonly command: Command;
}

/** The program and all its commands. */
function places(root: Command): Place[] {
  const below = (path: string, { commands }: Command): Place[] =>
    commands.flatMap((one) => {
      const inner = path === '' ? one.name : `${path} ${one.name}`;
      return [{ path: inner, command: one }, ...below(inner, one)];
    });
  return [{ path: '', command: root }, ...below('', root)];
}

function flagNames({ flags }: Command): string[] {
  const all = { ...globalFlags, ...flags };
  return [...Object.keys(all), 'help'].map((name) => `--${name}`);
}

function bashScript(root: Command): string {
  const fn = `_${root.name.replaceAll(/\W/g, '_')}`;
  const cases = places(root).map(({ path, command: { commands } }) => {
    return `    '${path}') words='${commands.map(({ name }) => name).join(' ')}' ;;`;
  });
  const flags = places(root).map(({ path, command: one }) => {
    return `    '${path}') flags='${flagNames(one).join(' ')}' ;;`;
  });
  return [
    `${fn}_commands() {`,
    "  words=''",
    '  case "$1" in',
    ...cases,
    '  esac',
    '}',
    '',
    `${fn}_flags() {`,
    "  flags=''",
    '  case "$1" in',
    ...flags,
    '  esac',
    '}',
    '',
    `${fn}() {`,
    `  local current=\${COMP_WORDS[COMP_CWORD]} path='' words flags at`,
    '  for ((at = 1; at < COMP_CWORD; at++)); do',
    `    ${fn}_commands "$path"`,
    '    case " $words " in',
    `      *" \${COMP_WORDS[at]} "*) path="\${path:+$path }\${COMP_WORDS[at]}" ;;`,
    '    esac',
    '  done',
    `  ${fn}_commands "$path"`,
    `  ${fn}_flags "$path"`,
    '  if [[ $current == -* ]]; then words=$flags; fi',
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '}',
    '',
    `complete -o default -F ${fn} ${root.name}`,
    '',
  ].join('\n');
}

function fishScript(root: Command): string {
  const { name: program } = root;
  const quoted = (text: string): string => `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
  const lines = places(root).flatMap(({ path, command: one }) => {
    const seen = path === '' ? '__fish_use_subcommand' : seenIn(path, one);
    const commands = one.commands.map(({ name, short }) => {
      return `complete -c ${program} -f -n ${quoted(seen)} -a ${name} -d ${quoted(short)}`;
    });
    const flags = Object.entries(one.flags).map(([name, { help }]) => {
      return `complete -c ${program} -n ${quoted(seen)} -l ${name} -d ${quoted(help)}`;
    });
    return [...commands, ...flags];
  });
  const global = Object.entries(globalFlags).map(([name, { help }]) => {
    return `complete -c ${program} -l ${name} -d ${quoted(help)}`;
  });
  return `${[...lines, ...global].join('\n')}\n`;
}

/** The line has all commands of the path, and none of those below it. */
function seenIn(path: string, { commands }: Command): string {
  const has = path.split(' ').map((name) => `__fish_seen_subcommand_from ${name}`);
  const names = commands.map(({ name }) => name).join(' ');
  return [...has, ...(names === '' ? [] : [`not __fish_seen_subcommand_from ${names}`])].join(
    '; and ',
  );
}

function powershellScript(root: Command): string {
  const rows = places(root).map(({ path, command: one }) => {
    const names = [...one.commands.map(({ name }) => name), ...flagNames(one)];
    return `    '${path}' = @(${names.map((name) => `'${name}'`).join(', ')})`;
  });
  return [
    `Register-ArgumentCompleter -Native -CommandName '${root.name}' -ScriptBlock {`,
    '  param($current, $line, $position)',
    '  $known = @{',
    ...rows,
    '  }',
    "  $path = ''",
    '  foreach ($element in $line.CommandElements | Select-Object -Skip 1) {',
    '    $word = $element.ToString()',
    '    if ($element.Extent.EndOffset -ge $position) { break }',
    '    $longer = "$path $word".Trim()',
    '    if ($known.ContainsKey($longer)) { $path = $longer }',
    '  }',
    '  $known[$path] | Where-Object { $_ -like "$current*" } | ForEach-Object {',
    "    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)",
    '  }',
    '}',
    '',
  ].join('\n');
}
