/** What --help and --version print. */

import { etcdVersion, kvorumVersion } from '../../common/index.js';
import { type FlagGroup, type FlagSpec, type FlagStatus, flagGroups } from './flag-spec.js';
import { flagTable } from './flags-table.js';

const groupTitles: Readonly<Record<FlagGroup, string>> = {
  member: 'Member',
  clustering: 'Clustering',
  security: 'Security',
  auth: 'Auth',
  monitoring: 'Profiling and monitoring',
  backup: 'Backups by a schedule',
  logging: 'Logging',
  features: 'Features',
  unsafe: 'Unsafe: these break what Raft promises',
  ignored: 'Accepted and ignored, as etcd does',
};

const statusNotes: Readonly<Record<FlagStatus, string>> = {
  implemented: '',
  accepted: ' [no effect yet]',
  refused: ' [not supported yet]',
  ignored: ' [ignored]',
};

/** All flags by group. */
export function helpText(): string {
  const lines = [
    'kvorum: a key-value store with the API of etcd v3.',
    '',
    'Usage:',
    '  kvorum [flags]       start a server; without flags, a single node on localhost:2379',
    '  kvorum join URL      start a server that becomes a member of a cluster: kvorum join --help',
    '  kvorum get|put|...   ask and change a cluster: kvorum ctl --help lists the commands',
    '  kvorum restore FILE  make a data directory from a snapshot: kvorum restore --help',
    '  kvorum backup PLACE  back a cluster up into a directory or S3: kvorum backup --help',
    '  kvorum compile       keep compiled code beside the program: starts are faster',
    '  kvorum version       print the version, as --version does',
    '  kvorum help          print this, as --help does',
    '',
    'A flag --foo-bar may also be set as ETCD_FOO_BAR, but not both ways at once.',
    'docs/configuration.md says more about each.',
  ];
  for (const group of flagGroups) {
    const specs = flagTable.filter((spec) => spec.group === group);
    lines.push('', `${groupTitles[group]}:`);
    if (group === 'ignored') lines.push(...wrap(specs.map((spec) => `--${spec.name}`)));
    else for (const spec of specs) lines.push(...flagLines(spec));
  }
  return `${lines.join('\n')}\n`;
}

function flagLines(spec: FlagSpec): string[] {
  const value = spec.kind === 'noop' ? '' : ` '${spec.default}'`;
  const isLong = value.length > lineWidth / 2;
  return [
    `  --${spec.name}${isLong ? '' : value}`,
    ...(isLong ? [`     ${value}`] : []),
    `      ${spec.help}${statusNotes[spec.status]}`,
  ];
}

const lineWidth = 90;

function wrap(words: readonly string[]): string[] {
  const lines: string[] = [];
  let line = ' ';
  for (const word of words) {
    if (line.length + word.length > lineWidth) {
      lines.push(line);
      line = ' ';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

const goArchitectures: ReadonlyMap<string, string> = new Map([
  ['x64', 'amd64'],
  ['ia32', '386'],
]);

/** The four lines that scripts expect of `etcd --version`, and ours. */
export function versionText(runtime: {
  readonly nodeVersion: string;
  readonly platform: string;
  readonly architecture: string;
}): string {
  const architecture = goArchitectures.get(runtime.architecture) ?? runtime.architecture;
  return [
    `etcd Version: ${etcdVersion}`,
    'Git SHA: kvorum',
    `Go Version: none (node ${runtime.nodeVersion})`,
    `Go OS/Arch: ${runtime.platform}/${architecture}`,
    `kvorum Version: ${kvorumVersion}`,
    '',
  ].join('\n');
}
