/**
 * `context`: clusters under names of one's own, so that `--context prod` stands for endpoints,
 * certificates and user. Passwords are not kept, only where they are.
 */

import { resolve } from 'node:path';
import { type CommandContext, CommandError, command, exit, flag } from '../command/index.js';
import { formatOf, goJson, paintOf, tableText, unsupported } from '../print/index.js';
import { type Context, type Contexts, contextNamed } from './contexts.js';
import { contextsPath, readContexts, writeContexts } from './file.js';

const add = command({
  name: 'add',
  offline: true,
  usage: 'NAME --endpoints HOST:PORT,...',
  short: 'Keeps where a cluster is, and with what it is reached',
  long:
    'Keeps the endpoints, certificates and user of this line under a name. The first context that\n' +
    'is added is the current one. Passwords are not kept: name the variable or the file they are in.',
  flags: {
    'password-env': flag.string('', 'the variable that holds the password of --user'),
    'password-file': flag.string('', 'the file that holds the password of --user'),
    use: flag.bool(false, 'make it the current one'),
    replace: flag.bool(false, 'in place of one that has this name'),
  },
  async run(context, args, flags, isSet) {
    const name = nameOf(args);
    const made = contextOf(context, flags, isSet);
    const { contexts, current } = await readContexts(context.io);
    if (Object.hasOwn(contexts, name) && !flags.replace) {
      throw new CommandError(`there is a context ${JSON.stringify(name)}; give --replace`);
    }
    const next = flags.use || current === undefined ? name : current;
    await writeContexts(context.io, { current: next, contexts: { ...contexts, [name]: made } });
    const now = next === name ? ', and is the current one' : '';
    await context.io.stdout(`Context ${name} is kept${now}\n`);
    return undefined;
  },
});

interface PasswordFlags {
  readonly 'password-env': string;
  readonly 'password-file': string;
}

/** What the line says of the cluster; what the environment says is not kept. */
function contextOf(
  { global }: CommandContext,
  flags: PasswordFlags,
  isSet: ReadonlySet<string>,
): Context {
  const { user } = global;
  const passwordEnv = flags['password-env'];
  const passwordFile = flags['password-file'];
  if (isSet.has('password') || isSet.has('auth-jwt-token') || user.includes(':')) {
    throw bad('passwords and tokens are not kept: give --password-env or --password-file');
  }
  if (!isSet.has('endpoints') || global.endpoints.length === 0) {
    throw bad('a context needs --endpoints');
  }
  if (passwordEnv !== '' && passwordFile !== '') {
    throw bad('a password is in one place: --password-env or --password-file');
  }
  const hasPassword = passwordEnv !== '' || passwordFile !== '';
  if (hasPassword && !isSet.has('user')) throw bad('a password needs --user');
  const file = (name: 'cert' | 'key' | 'cacert') =>
    isSet.has(name) ? { [name]: resolve(global[name]) } : {};
  return {
    endpoints: global.endpoints,
    ...{ ...file('cert'), ...file('key'), ...file('cacert') },
    ...(isSet.has('insecure-skip-tls-verify')
      ? { insecureSkipTlsVerify: global['insecure-skip-tls-verify'] }
      : {}),
    ...(isSet.has('insecure-transport') ? { insecureTransport: global['insecure-transport'] } : {}),
    ...(isSet.has('user') ? { user } : {}),
    ...(passwordEnv === '' ? {} : { passwordEnv }),
    ...(passwordFile === '' ? {} : { passwordFile: resolve(passwordFile) }),
  };
}

const list = command({
  name: 'list',
  offline: true,
  short: 'Lists the contexts; the current one has a star',
  async run(context, args) {
    if (args.length > 0) throw bad('context list takes no arguments');
    const all = await readContexts(context.io);
    const format = formatOf(context.global);
    if (format === 'json') await context.io.stdout(`${goJson(all)}\n`);
    else if (format === 'simple' || format === 'table') {
      await context.io.stdout(listText(context, all, format === 'table'));
    } else throw unsupported(format);
    return undefined;
  },
});

function listText(context: CommandContext, { contexts, current }: Contexts, table: boolean) {
  const rows = Object.entries(contexts).map(([name, { endpoints, user }]) => {
    const star = name === current ? '*' : '';
    return [star, name, endpoints.join(','), user ?? ''] as const;
  });
  if (table) return tableText({ header: ['current', 'name', 'endpoints', 'user'], rows });
  const width = Math.max(0, ...rows.map(([, name]) => name.length));
  const paint = context.pretty ? paintOf(context) : undefined;
  return rows
    .map(([star, name, endpoints, user]) => {
      const shown = paint === undefined || star === '' ? name : paint.bold(name);
      const padding = ' '.repeat(width - name.length);
      const as = user === '' ? '' : `  as ${user}`;
      return `${star.padEnd(1)} ${shown}${padding}  ${endpoints}${as}\n`;
    })
    .join('');
}

const use = command({
  name: 'use',
  offline: true,
  usage: 'NAME',
  short: 'Makes a context the current one',
  async run(context, args) {
    const name = nameOf(args);
    const all = await readContexts(context.io);
    contextNamed(all, name);
    await writeContexts(context.io, { ...all, current: name });
    await context.io.stdout(`Context ${name} is the current one\n`);
    return undefined;
  },
});

const show = command({
  name: 'show',
  offline: true,
  usage: '[NAME]',
  short: 'Shows what is kept of a context, or of the current one',
  async run(context, args) {
    const { io, global } = context;
    const all = await readContexts(io);
    const name = args.length === 0 ? all.current : nameOf(args);
    if (name === undefined) throw bad('there is no current context; name one');
    const found = contextNamed(all, name);
    const format = formatOf(global);
    if (format === 'json') await io.stdout(`${goJson({ name, ...found })}\n`);
    else if (format === 'simple') {
      const lines = Object.entries({ name, ...found, file: contextsPath(io.env) }).map(
        ([key, value]) => `${key.padEnd(21)} ${Array.isArray(value) ? value.join(',') : value}\n`,
      );
      await io.stdout(lines.join(''));
    } else throw unsupported(format);
    return undefined;
  },
});

const remove = command({
  name: 'remove',
  offline: true,
  usage: 'NAME',
  short: 'Forgets a context; nothing happens to the cluster',
  async run(context, args) {
    const name = nameOf(args);
    const all = await readContexts(context.io);
    contextNamed(all, name);
    const { [name]: _, ...contexts } = all.contexts;
    const isCurrent = all.current === name;
    const { current } = all;
    await writeContexts(context.io, {
      ...(isCurrent || current === undefined ? {} : { current }),
      contexts,
    });
    const none = isCurrent ? '; there is no current one now' : '';
    await context.io.stdout(`Context ${name} is forgotten${none}\n`);
    return undefined;
  },
});

function nameOf(args: readonly string[]): string {
  const [name] = args;
  if (name === undefined || args.length !== 1) throw bad('give one name of a context');
  // A name is a word on a line, and a key of an object.
  if (!/^[\w.@-]+$/.test(name) || name === '__proto__') {
    throw bad(`${JSON.stringify(name)} is no name: letters, digits and . _ - @ make one`);
  }
  return name;
}

function bad(message: string): CommandError {
  return new CommandError(message, exit.badArguments);
}

export const contextCommand = command({
  name: 'context',
  short: 'Clusters under names of your own',
  long:
    'Clusters under names of your own. The line and the variables ETCDCTL_... come before what a\n' +
    'context says; --context NAME or KVORUM_CONTEXT name another one than the current. The current\n' +
    'one is left out where a line has --endpoints: its user and certificates are not for them.',
  group: 'Utility commands',
  beyondEtcdctl: true,
  commands: [add, list, use, show, remove],
});
