/**
 * `npm run cluster`: several members on this machine, each a process of its own with its own data
 * directory, their logs together in one terminal. Ctrl-C stops all of them.
 *
 * Lines typed meanwhile: `kill m1` (kill -9), `pause m1`, `resume m1`, `start m1`, `status`,
 * `quit`. They are what makes it a toy to learn with: kill the leader and watch the others go on.
 */

import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const bin = fileURLToPath(new URL('../bin/kvorum', import.meta.url));
const sizeMax = 9;
/** The ports that etcd's own Procfile uses: 2379, 22379, 32379, ...; peers are at the next one. */
const usualPort = (index) => (index === 0 ? 2379 : 10_000 * (index + 1) + 2379);
const portsApart = 10;
const colours = [36, 33, 35, 32, 34, 31, 96, 93, 95];
const stopMsMax = 15_000;

const usage = `usage: npm run cluster -- [--size 3] [--data-dir kvorum-cluster] [--base-port P] [--quiet] [-- flags]

Starts that many members of one cluster on 127.0.0.1: clients at 2379, 22379, 32379, ...
or, with --base-port P, at P, P+10, P+20, ...; members reach each other at the port after it.
Flags after a second -- go to every member, as in: npm run cluster -- --size 5 -- --log-level debug
Type "kill m1", "pause m1", "resume m1", "start m1", "status" or "quit" meanwhile.
`;

/** Runs until all members have ended; resolves to the exit status. */
export async function runCluster(argv) {
  const { wrong, ...options } = parse(argv);
  if (wrong !== undefined) {
    process.stderr.write(`cluster: ${wrong}\n\n${usage}`);
    return 2;
  }
  mkdirSync(options.dataDir, { recursive: true });
  const members = Array.from({ length: options.size }, (_, i) => new Member(i, options));
  const initialCluster = members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  const stopped = untilStopped(members, initialCluster);
  for (const member of members) member.start(initialCluster);
  const endpoints = members.map(({ clientUrl }) => clientUrl).join(',');
  say(`${options.size} members, data in ${options.dataDir}`);
  say(`try:  etcdctl --endpoints=${endpoints} endpoint status --cluster -w table`);
  return await stopped;
}

/** The options, or what is `wrong` with them. What follows the first `--` is for the members. */
function parse(argv) {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  let values;
  try {
    ({ values } = parseArgs({
      args: argv.slice(0, end),
      options: {
        size: { type: 'string', default: '3' },
        'data-dir': { type: 'string', default: 'kvorum-cluster' },
        'base-port': { type: 'string' },
        quiet: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    return { wrong: error.message };
  }
  const { 'data-dir': dataDir, quiet } = values;
  const size = Number(values.size);
  if (!Number.isInteger(size) || size < 1 || size > sizeMax) {
    return { wrong: `--size must be a whole number from 1 to ${sizeMax}, not "${values.size}"` };
  }
  if (dataDir === '') return { wrong: '--data-dir must name a directory' };
  const basePort = Number(values['base-port'] ?? 1);
  if (!(basePort > 0 && basePort < 65_000)) {
    return { wrong: `--base-port must be above 0 and below 65000, not "${values['base-port']}"` };
  }
  const port = (index) =>
    values['base-port'] === undefined ? usualPort(index) : basePort + portsApart * index;
  return { size, dataDir: resolve(dataDir), quiet, port, flags: argv.slice(end + 1) };
}

/** One member's process; it can be ended and started again on the same data. */
class Member {
  #options;
  #child;
  #ended = Promise.resolve();

  constructor(index, options) {
    this.index = index;
    this.name = `m${index + 1}`;
    this.clientUrl = `http://127.0.0.1:${options.port(index)}`;
    this.peerUrl = `http://127.0.0.1:${options.port(index) + 1}`;
    this.#options = options;
  }

  get pid() {
    return this.#child?.pid;
  }

  get ended() {
    return this.#ended;
  }

  start(initialCluster) {
    if (this.#child !== undefined) return say(`${this.name} is running already`);
    const { dataDir, flags } = this.#options;
    const args = [
      ...['--name', this.name, '--data-dir', join(dataDir, this.name)],
      ...['--listen-client-urls', this.clientUrl, '--advertise-client-urls', this.clientUrl],
      ...['--listen-peer-urls', this.peerUrl, '--initial-advertise-peer-urls', this.peerUrl],
      ...['--initial-cluster', initialCluster, '--log-format', 'console', ...flags],
    ];
    // In a group of its own: Ctrl-C is ours to pass on, once.
    const child = spawn(process.execPath, [bin, ...args], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.#print(line));
    }
    this.#ended = new Promise((done) => {
      child.once('close', (code, signal) => {
        this.#child = undefined;
        say(`${this.name} ended (${signal ?? `status ${code}`})`);
        done();
      });
    });
    child.once('error', (error) => say(`${this.name} could not be started: ${error.message}`));
    say(`${this.name} runs as process ${child.pid}`);
    return undefined;
  }

  signal(name) {
    if (this.#child === undefined) return say(`${this.name} is not running`);
    this.#child.kill(name);
    return undefined;
  }

  #print(line) {
    if (this.#options.quiet || line.trim() === '') return;
    const mark = this.name.padEnd(3);
    const colour = colours[this.index % colours.length];
    const prefix = process.stdout.isTTY ? `\u001b[${colour}m${mark}|\u001b[0m ` : `${mark}| `;
    process.stdout.write(`${prefix}${line}\n`);
  }
}

/** From now on signals and lines are heard; members that are started later are ended, too. */
async function untilStopped(members, initialCluster) {
  let stopping = false;
  const stop = (signal) => {
    for (const member of members) {
      if (member.pid === undefined) continue;
      // A paused process would never see the other one.
      member.signal('SIGCONT');
      member.signal(signal);
    }
  };
  const asked = new Promise((done) => {
    const ask = () => {
      stop(stopping ? 'SIGKILL' : 'SIGTERM');
      stopping = true;
      done();
    };
    process.on('SIGINT', ask);
    process.on('SIGTERM', ask);
    process.on('SIGHUP', ask);
    const lines = createInterface({ input: process.stdin });
    lines.on('line', (line) => obey(line.trim().split(/\s+/), members, initialCluster, ask));
  });
  // One that ended by itself can be started again, so that alone is no reason to stop.
  await asked;
  const late = setTimeout(() => stop('SIGKILL'), stopMsMax);
  await Promise.all(members.map(({ ended }) => ended));
  clearTimeout(late);
  process.stdin.destroy();
  return 0;
}

const signals = { kill: 'SIGKILL', stop: 'SIGTERM', pause: 'SIGSTOP', resume: 'SIGCONT' };

function obey([verb = '', name], members, initialCluster, quit) {
  if (verb === '') return;
  if (verb === 'quit' || verb === 'exit') {
    quit();
  } else if (verb === 'status') {
    for (const { name: who, pid, clientUrl } of members) {
      say(`${who}  ${clientUrl}  ${pid === undefined ? 'not running' : `process ${pid}`}`);
    }
  } else {
    const member = members.find((one) => one.name === name);
    const signal = Object.hasOwn(signals, verb) ? signals[verb] : undefined;
    if (member === undefined || (verb !== 'start' && signal === undefined)) {
      say('kill|stop|pause|resume|start <member>, status, quit');
    } else if (signal === undefined) member.start(initialCluster);
    else member.signal(signal);
  }
}

function say(line) {
  process.stdout.write(`cluster: ${line}\n`);
}
