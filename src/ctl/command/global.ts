/** The flags that all commands have, and `ETCDCTL_*`, which stand for those that the line lacks. */

import { CommandError } from './command-error.js';
import { type Flag, flag, type ValuesOf } from './flags.js';
import { LineError, readFlag } from './parse.js';

export const globalFlags = {
  endpoints: flag.strings(['127.0.0.1:2379'], 'where members serve clients'),
  debug: flag.bool(false, 'tell on stderr what is connected to and called'),
  'write-out': flag.string(
    'simple',
    'the form of the output: fields, json, protobuf, simple or table',
    {
      short: 'w',
    },
  ),
  hex: flag.bool(false, 'print bytes as hexadecimal digits'),
  'dial-timeout': flag.duration(2_000, 'time for a connection'),
  'command-timeout': flag.duration(5_000, 'time for a short command, without the connection'),
  'keepalive-time': flag.duration(2_000, 'silence after which a connection is probed'),
  'keepalive-timeout': flag.duration(6_000, 'time for the answer of a probe'),
  'max-request-bytes': flag.int(0, 'the largest request that is sent; 0 for 2 MiB'),
  'max-recv-bytes': flag.int(0, 'the largest answer that is taken; 0 for 2 GiB'),
  'insecure-transport': flag.bool(true, 'no TLS to endpoints without a scheme'),
  'insecure-discovery': flag.bool(true, 'accept SRV records of endpoints without TLS'),
  'insecure-skip-tls-verify': flag.bool(false, 'do not verify the certificate of the server'),
  cert: flag.string('', 'file of the certificate of this client'),
  key: flag.string('', 'file of the key of that certificate'),
  cacert: flag.string('', 'file of the authorities that servers are verified with'),
  'auth-jwt-token': flag.string('', 'a JSON web token, instead of --user and --password'),
  user: flag.string('', 'name[:password]; asks for the password if it is not given'),
  password: flag.string('', 'the password of --user'),
  'discovery-srv': flag.string('', 'a domain that is asked for SRV records of the endpoints', {
    short: 'd',
  }),
  'discovery-srv-name': flag.string('', 'the service that is asked for then'),
  context: flag.string('', 'a named cluster (kvorum context list)'),
} as const;

export type GlobalValues = ValuesOf<typeof globalFlags>;

/** What etcdctl does not know; with ETCDCTL_* in the environment it would warn. */
export const ownGlobalFlags: ReadonlySet<string> = new Set(['context']);

/**
 * The values of the line, and of the environment where the line has none. Throws CommandError: a
 * variable next to its flag is an error in etcdctl, too; one that can't be read it passes over, and
 * nobody sees why.
 */
export function withEnvironment(
  values: GlobalValues,
  isSet: ReadonlySet<string>,
  env: Readonly<Record<string, string | undefined>>,
): { readonly values: GlobalValues; readonly isSet: ReadonlySet<string> } {
  const result: Record<string, unknown> = { ...values };
  const all = new Set(isSet);
  for (const [name, declared] of Object.entries(globalFlags)) {
    const variable = variableOf(name);
    const text = env[variable];
    if (isSet.has(name)) {
      if (text === undefined) continue;
      throw new CommandError(`${variable} and --${name} are both given; unset one of them`);
    }
    if (text === undefined || text === '') continue;
    result[name] = readVariable(name, declared, text);
    all.add(name);
  }
  return { values: result as GlobalValues, isSet: all };
}

function readVariable(name: string, declared: Flag, text: string): unknown {
  try {
    return readFlag(name, declared, text, undefined);
  } catch (error) {
    if (!(error instanceof LineError)) throw error;
    throw new CommandError(`${variableOf(name)}: ${error.message}`);
  }
}

/** `--write-out` is `ETCDCTL_WRITE_OUT`. */
function variableOf(name: string): string {
  return `ETCDCTL_${name.toUpperCase().replaceAll('-', '_')}`;
}
