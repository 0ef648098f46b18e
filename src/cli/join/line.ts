/** The line of `kvorum join`: a URL, flags of a client to ask the cluster, and flags of a server. */

import { globalFlags } from '../../ctl/index.js';
import { UsageError } from '../../server/index.js';

/** Flags that say how the cluster is asked; those of etcdctl. A server has none of these names. */
const clientFlagNames = [
  ...['cacert', 'cert', 'key', 'insecure-skip-tls-verify', 'insecure-transport'],
  ...['user', 'password', 'auth-jwt-token', 'dial-timeout', 'command-timeout', 'context'],
] as const;

export interface JoinLine {
  /** Of members that serve clients. */
  readonly endpoints: readonly string[];
  readonly client: readonly string[];
  readonly server: readonly string[];
  readonly help: boolean;
}

/** Throws UsageError. */
export function readJoinLine(words: readonly string[]): JoinLine {
  const [url = '', ...rest] = words;
  const help = words.some((word) => word === '--help' || word === '-h');
  if (help) return { endpoints: [], client: [], server: [], help };
  if (url === '' || url.startsWith('-')) {
    throw new UsageError('join needs the client URL of a member: kvorum join http://10.0.0.1:2379');
  }
  const client: string[] = [];
  const server: string[] = [];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const name = /^--([^=]+)/.exec(word)?.[1] ?? '';
    const known = clientFlagNames.find((one) => one === name);
    if (known === undefined) {
      refuseFounding(name);
      server.push(word);
      continue;
    }
    client.push(word);
    if (word.includes('=') || globalFlags[known].kind === 'bool') continue;
    const value = rest.shift();
    if (value === undefined) throw new UsageError(`flag needs an argument: --${name}`);
    client.push(value);
  }
  return { endpoints: url.split(','), client, server, help };
}

/** What the cluster says, and nobody else. */
function refuseFounding(name: string): void {
  if (/^(initial-cluster(-state|-token)?|discovery-.*|force-new-cluster)$/.test(name)) {
    throw new UsageError(
      `--${name} makes no sense with join: the cluster says who its members are`,
    );
  }
}
