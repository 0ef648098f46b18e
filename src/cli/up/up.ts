/**
 * `kvorum up`: starts a local cluster, says where it is, and does what keys say, or lines on stdin
 * where nobody sits in front of it: `kill m1`, `k m1`, `k 1`.
 */

import { resolve } from 'node:path';
import { onAbort } from '../../common/index.js';
import type { CtlIo, ExitCode, LocalClusterPlan } from '../../ctl/index.js';
import { makeTemporaryFolder, removeFolder } from '../files.js';
import { LocalCluster, wireHost } from './local-cluster.js';
import type { Program } from './member-process.js';
import { linesOf } from './stdin-lines.js';
import { canListenAt } from './wires.js';

const verbs = {
  k: 'kill',
  p: 'pause',
  x: 'cut',
  r: 'restart',
  l: 'leader',
  s: 'status',
  q: 'quit',
} as const;

type Verb = (typeof verbs)[keyof typeof verbs];

const needsName: ReadonlySet<Verb> = new Set(['kill', 'pause', 'cut', 'restart']);
const help =
  'k kill -9   p pause   x cut off   r bring back   l kill the leader and measure   s status   q quit';

/** Runs until it is told to quit, or by a signal. */
export async function runUp(
  plan: LocalClusterPlan,
  io: CtlIo,
  program: Program,
): Promise<ExitCode> {
  const isTemporary = plan.dataDir === undefined;
  const dir =
    plan.dataDir === undefined
      ? makeTemporaryFolder(io.env.TMPDIR ?? '/tmp', 'kvorum-up-')
      : resolve(plan.dataDir);
  const say = (line: string): void => void io.stdout(`${line}\n`);
  const hasWires = plan.wires && (await canListenAt(wireHost(plan.nodes - 1)));
  if (plan.wires && !hasWires)
    say('this machine has no addresses 127.0.0.11, ...: x does not work');
  const cluster = new LocalCluster({ plan, clock: io.clock, program, dir, say }, hasWires);
  const quitting = new AbortController();
  const takeBack = onAbort(io.interrupted, () => quitting.abort());
  try {
    say(`starting ${plan.nodes} members; data and logs are in ${dir}`);
    if (!(await cluster.start(quitting.signal))) {
      if (quitting.signal.aborted) return 0;
      say('no member runs: see their logs');
      return 1;
    }
    const endpoints = cluster.endpoints.join(',');
    say(`it serves:\n  export ETCDCTL_ENDPOINTS=${endpoints}`);
    say('try in another terminal:\n  kvorum status\n  kvorum top\n  kvorum bench put');
    const told = new Told(cluster, say, quitting);
    if (io.keys === undefined) await obeyLines(io, told, quitting.signal);
    else await obeyKeys(io.keys, told, quitting.signal);
    return 0;
  } finally {
    takeBack();
    say('stopping');
    await cluster.stop();
    if (isTemporary) removeFolder(dir);
  }
}

async function obeyLines(io: CtlIo, told: Told, signal: AbortSignal): Promise<void> {
  say(told, 'lines on stdin: kill m1, pause m1, cut m1, restart m1, leader, status, quit');
  const ended = new Promise<void>((done) => void onAbort(signal, done));
  const reading = (async () => {
    for await (const line of linesOf(io.stdin)) {
      if (signal.aborted) return;
      const [word = '', name = ''] = line.trim().split(/\s+/);
      if (word !== '') await told.obey(word, name);
    }
  })();
  // stdin may end, as that of a service does: the cluster goes on.
  await Promise.race([ended, reading.then(() => ended)]);
}

async function obeyKeys(
  keys: NonNullable<CtlIo['keys']>,
  told: Told,
  signal: AbortSignal,
): Promise<void> {
  say(told, help);
  let verb: string | undefined;
  const reading = keys.read((key) => {
    if (key === 'ctrl-c') return void told.obey('quit', '');
    if (verb !== undefined) {
      void told.obey(verb, key);
      verb = undefined;
    } else if (Object.hasOwn(verbs, key) && needsName.has(verbs[key as keyof typeof verbs])) {
      verb = key;
      say(told, `${verbs[key as keyof typeof verbs]} which one? ${told.numbers}`);
    } else {
      void told.obey(key, '');
    }
  });
  await new Promise<void>((done) => void onAbort(signal, done));
  reading.stop();
}

function say(told: Told, line: string): void {
  told.say(line);
}

/** Does what it is told, one after the other. */
class Told {
  readonly say: (line: string) => void;
  readonly #cluster: LocalCluster;
  readonly #quitting: AbortController;

  constructor(cluster: LocalCluster, say: (line: string) => void, quitting: AbortController) {
    this.#cluster = cluster;
    this.say = say;
    this.#quitting = quitting;
  }

  /** `1 2 3` */
  get numbers(): string {
    return this.#cluster.names.map((name) => name.slice(1)).join(' ');
  }

  /** `word`: a verb or its letter; `who`: `m1` or `1`. Never rejects. */
  async obey(word: string, who: string): Promise<void> {
    const verb = Object.hasOwn(verbs, word) ? verbs[word as keyof typeof verbs] : word;
    if (!isVerb(verb)) return this.say(help);
    const name = /^\d+$/.test(who) ? `m${who}` : who;
    if (needsName.has(verb) && !this.#cluster.names.includes(name)) {
      return this.say(`${verb} needs one of ${this.#cluster.names.join(', ')}`);
    }
    try {
      await this.#do(verb, name);
    } catch (error) {
      this.say(`${verb} ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #do(verb: Verb, name: string): Promise<void> {
    const cluster = this.#cluster;
    switch (verb) {
      case 'kill':
        return await cluster.kill(name);
      case 'pause':
        cluster.pause(name);
        return this.say(`${name} is paused`);
      case 'cut':
        if (cluster.cut(name)) return this.say(`${name} is cut off from the others`);
        return this.say('without wires nothing can be cut');
      case 'restart':
        await cluster.bringBack(name);
        return this.say(`${name} is back`);
      case 'leader':
        return await this.#killLeader();
      case 'status':
        return await this.#status();
      case 'quit':
        return this.#quitting.abort();
    }
  }

  async #killLeader(): Promise<void> {
    const killed = await this.#cluster.killLeader(this.#quitting.signal);
    if (killed === undefined) return this.say('there is no leader');
    const { name } = killed;
    this.say(`${name} led and was killed`);
    // Without a majority that is when somebody brings a member back.
    void killed.tookMs.then((tookMs) => {
      if (tookMs === undefined) return;
      this.say(`a write succeeded again ${Math.round(tookMs)} ms after ${name} was killed`);
    });
  }

  async #status(): Promise<void> {
    for (const { name, clientUrl, state, pid, isLeader } of await this.#cluster.states()) {
      const more = [
        ...(pid === undefined ? [] : [`process ${pid}`]),
        ...(isLeader ? ['leader'] : []),
      ];
      this.say([`${name}  ${clientUrl}  ${state}`, ...more].join(', '));
    }
  }
}

function isVerb(word: string): word is Verb {
  return Object.values<string>(verbs).includes(word);
}
