/**
 * Changing a cluster of three with etcdctl: what must happen between the steps (a process started,
 * a leader moved) stands between them. Added members get ids that nobody can foresee, so lists that
 * etcdctl prints in the order of ids are sorted first.
 */

import type { EtcdctlStep } from '../../helpers/etcdctl.js';
import type { ShownCluster } from './cluster.js';
import { step as plainStep } from './step.js';

interface TakenStep extends EtcdctlStep {
  /** Taken again while this is said: a member has to have been connected for five seconds. */
  readonly while?: RegExp;
  /** If one of the two says this, what it says is chance; the next steps show what was done. */
  readonly unless?: RegExp;
}

/** A step that etcdctl takes, or something done to both clusters between two of them. */
export type MemberStep =
  | TakenStep
  | { readonly name: string; readonly act: (cluster: ShownCluster) => Promise<void> };

const step: (line: string, more?: Omit<TakenStep, 'args'>) => TakenStep = plainStep;
const all = '--endpoints <e1>,<e2>,<e3>';
const unordered = { unordered: true } as const;
/** The environment that `member add` prints names members in the order of their ids. */
const sortedEnvironment = {
  decode: (stdout: Buffer) =>
    stdout
      .toString('utf8')
      .replace(
        /ETCD_INITIAL_CLUSTER="(.*)"/,
        (_all, list: string) => `ETCD_INITIAL_CLUSTER="${list.split(',').sort().join(',')}"`,
      ),
};
/** Members within JSON, sorted by what follows their ids. */
const sortedJson = {
  decode: (stdout: Buffer) => {
    const text = stdout.toString('utf8');
    const members = text.match(/\{"ID":[^{}]*\}/g) ?? [];
    const byName = [...members].sort((a, b) => (afterId(a) < afterId(b) ? -1 : 1));
    let next = 0;
    return text.replace(/\{"ID":[^{}]*\}/g, () => byName[next++] ?? '');
  },
};
const afterId = (member: string): string => member.replace(/^\{"ID":\d+,/, '');

/** Hashes are the server's own; that all members have the same one is not. */
const sameHashes = {
  decode: (stdout: Buffer) => {
    const text = stdout.toString('utf8');
    // 3.7 prints the revision behind the hash.
    const hash = /, \d+(?=$|, \d+$)/gm;
    return `${text.replace(hash, ', <hash>')}${new Set(text.match(hash)).size} hash`;
  },
};

const added = (name: string) => ({
  ...sortedEnvironment,
  while: /unhealthy cluster/,
  capture: { name, from: /Member +([0-9a-f]+) added/ },
});

export const memberSteps: readonly MemberStep[] = [
  step('member list'),
  step('member list -w json'),
  step('member list -w fields'),
  step('endpoint status --cluster'),
  step('endpoint status --cluster -w json'),
  step('endpoint status --cluster -w fields'),
  step(`endpoint status ${all}`),
  step('endpoint health --cluster', unordered),
  settle(),
  step('endpoint hashkv --cluster', sameHashes),

  // The leader.
  step('move-leader <m3>'),
  step(`move-leader ${all} <m3>`),
  leads('m3'),
  step('endpoint status --cluster'),
  step(`move-leader ${all} <m3>`),
  step(`move-leader ${all} 1234`),
  step(`move-leader ${all} <m1>`),
  leads('m1'),
  step('put moved 1'),
  step('get moved'),

  // A voter comes.
  prepare('m4'),
  step('member add m4'),
  step('member add m4 --peer-urls=<p1>', { while: /unhealthy cluster/ }),
  step('member add m4 --peer-urls=<p4>', added('m4')),
  step('member list', unordered),
  step('member list -w json', sortedJson),
  start('m4'),
  step('member list', unordered),
  step('endpoint health --cluster', unordered),
  step('endpoint status --endpoints <e4>'),
  step('put fromfour 4 --endpoints <e4>'),
  step('get fromfour'),

  // Its address changes, and changes back.
  step('member update <m4> --peer-urls=<p1>'),
  step('member update <m4>'),
  step('member update <m4> --peer-urls=<q4>'),
  step('member list', unordered),
  step('member update <m4> --peer-urls=<p4>'),
  step('member list -w json', sortedJson),
  step('member promote <m4>'),

  // It goes.
  step('member remove <m4>'),
  ends('m4'),
  step('member remove <m4>'),
  // 3.4 does not answer this one at a follower.
  step('member promote <m4> --endpoints <e1>'),
  step('member update <m4> --peer-urls=<p4>'),
  step('member list'),
  step('put without 4'),

  // A learner comes, and is promoted.
  prepare('m5'),
  prepare('m6'),
  step('member add m5 --learner --peer-urls=<p5>', added('m5')),
  step('member list', unordered),
  step('member promote <m5>'),
  step('member add m6 --learner --peer-urls=<p6>'),
  start('m5'),
  step('member list', unordered),
  step('endpoint status --cluster', unordered),
  step('endpoint status --endpoints <e5> -w json'),
  step(`move-leader ${all} <m5>`),
  step('put k v --endpoints <e5>'),
  step('get fromfour --endpoints <e5>'),
  step('get fromfour --consistency=s --endpoints <e5>'),
  step('member list --endpoints <e5>'),
  step('member promote <m5>', { while: /in sync with leader/ }),
  step('member promote <m5>'),
  step('member list', unordered),
  step('put fromfive 5 --endpoints <e5>'),
  step('get fromfive'),
  step('endpoint health --cluster', unordered),

  // The leader removes itself.
  // It stops a second later: on a busy machine its answer may not have left by then.
  step('member remove <m1> --endpoints <e1>', {
    unless: /server stopped|transport is closing|EOF|Unavailable/,
  }),
  ends('m1'),
  settle(),
  step('member list', unordered),
  step('put without 1'),
  step('get without'),

  // Too few are left.
  leads('m2'),
  kill('m5'),
  prepare('m7'),
  step('member add m7 --peer-urls=<p7>'),
  step('member remove <m3>'),
  step('member remove <m5>'),
  step('member list', unordered),
  step('put still works'),
  step('get moved --prefix'),
];

function settle(): MemberStep {
  return { name: 'all members are equal', act: (cluster) => cluster.settle() };
}

function prepare(name: string): MemberStep {
  return { name: `ports for ${name}`, act: (cluster) => cluster.prepare(name) };
}

function start(name: string): MemberStep {
  return { name: `${name} starts`, act: (cluster) => cluster.join(name) };
}

function leads(name: string): MemberStep {
  return { name: `${name} leads`, act: (cluster) => cluster.lead(name) };
}

function ends(name: string): MemberStep {
  return { name: `${name} ends by itself`, act: (cluster) => cluster.ended(name) };
}

function kill(name: string): MemberStep {
  return { name: `kill -9 ${name}`, act: (cluster) => cluster.member(name).kill() };
}
