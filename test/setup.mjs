/**
 * Before the first test: finds, or builds, the programs that the chosen tests need beside Node, and
 * says what will run, how long that may take, what is left out and why. The tests ask
 * helpers/tools.ts for what was found.
 */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findTools, purposes, versionOf } from '../scripts/tools.mjs';
import { readDurations } from './progress.mjs';

/** More files than that are no choice of somebody's: the run is told of in full. */
const chosenMax = 20;
/** All of them on two cores beside a simulation, with every program there. */
const minutesOfAll = 13;

/** Go may need one to fetch modules. The tests talk to this machine, where none leads. */
const proxies = ['http', 'https', 'grpc', 'all', 'no'].flatMap((scheme) => {
  return [`${scheme}_proxy`, `${scheme}_proxy`.toUpperCase()];
});
/** They name tools for whoever asks; what stands for kvorum is known without them. */
const passedOver = ['helpers/tools.ts', 'helpers/target.ts'].map((path) => {
  return fileURLToPath(new URL(path, import.meta.url));
});
/** How tests ask for a tool. */
const asking = /\b(?:describeWith|itWith|have|toolPath|reasonToSkip)\(([^)\]]*)/g;
/** Names that mean other things elsewhere. */
const ambiguous = new Set(['kvorum', 'etcd', 'etcdctl', 'ipv6', 'openssl', 'python3']);

/** Called by vitest once, in its main process. */
export async function setup(project) {
  const files = project.vitest.state.getPaths();
  const wanted = wantedBy(files);
  // Which server stands for kvorum is no matter of a test's text.
  if (process.env.KVORUM_TEST_TARGET === 'etcd') wanted.add('etcd');
  const tools = await findTools(wanted, say);
  project.provide('tools', tools);
  for (const name of proxies) delete process.env[name];
  const isLong = process.env.KVORUM_SLOW === '1';
  say(`${counted(files.length, 'test file')}, two at a time${expectedTime(files, isLong)}`);
  for (const name of ['etcd37', 'etcd34']) {
    const { path } = wanted.has(name) ? tools[name] : {};
    if (path !== undefined) say(`compared with ${await versionOf(path)} (${path})`);
  }
  const absent = Object.keys(purposes).filter((name) => wanted.has(name) && tools[name].why);
  if (absent.length > 0) say('left out; it is in the names of the tests, too:');
  for (const name of absent) say(`  ${purposes[name]}: ${tools[name].why}`);
  if (files.length > chosenMax && !isLong) {
    say('of some tests there are long versions, which KVORUM_SLOW=1 runs');
  }
}

function expectedTime(files, isLong) {
  const known = readDurations();
  const lastMs = files.map((file) => known[`${isLong ? 'long ' : ''}${file}`]);
  if (!lastMs.includes(undefined)) {
    const sum = lastMs.reduce((total, each) => total + each, 0);
    return `; the last time here they took ${spoken(Math.max(sum / 2, ...lastMs))}`;
  }
  if (files.length <= chosenMax || isLong) return '';
  return `; about ${minutesOfAll} minutes on two cores, twice that or more on a busy machine`;
}

/**
 * The tools that the files, and what they import of the tests, ask helpers/tools.ts for. Only
 * these are built: nobody waits for etcd who wants to run one test of Raft.
 */
function wantedBy(files) {
  const wanted = new Set();
  const seen = new Set(passedOver);
  const visit = (file) => {
    if (seen.has(file) || !existsSync(file)) return;
    seen.add(file);
    const text = readFileSync(file, 'utf8');
    const asked = [...text.matchAll(asking)].map(([, names]) => names).join();
    for (const name of Object.keys(purposes)) {
      if ((ambiguous.has(name) ? asked : text).includes(`'${name}'`)) wanted.add(name);
    }
    for (const [, path] of text.matchAll(/from\s+'(\.[^']+)'/g)) {
      visit(resolve(dirname(file), path.replace(/\.js$/, '.ts')));
    }
  };
  for (const file of files) visit(file);
  return wanted;
}

function counted(count, what) {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function spoken(ms) {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} minutes`;
}

function say(line) {
  process.stderr.write(`kvorum: ${line}\n`);
}
