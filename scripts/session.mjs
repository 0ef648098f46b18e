/**
 * `npm run session`: a day with kvorum's command line, recorded into docs/session.md. Three members are
 * started, used, looked at, one is killed and replaced, all is backed up, destroyed and restored to a
 * revision. Each command runs in a pseudo-terminal, and the page has what it printed. Needs `script`
 * (util-linux) and the ports below; changes nothing outside of a folder for temporary files.
 */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'bin/kvorum');
const folder = mkdtempSync(join(tmpdir(), 'kvorum-session-'));
const columns = 110;
const lines = 40;
const names = ['m1', 'm2', 'm3', 'm4'];
const client = (name) => 2379 + names.indexOf(name) * 10_000;
const peer = (name) => client(name) + 1;
const url = (port) => `http://127.0.0.1:${port}`;
const endpoints = (...of) => of.map((name) => `127.0.0.1:${client(name)}`).join(',');
const processes = new Map();
const page = [];
const patienceMs = 60_000;

try {
  await record();
  writeFileSync(join(root, 'docs/session.md'), `${page.join('\n')}\n`);
} finally {
  for (const child of processes.values()) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

async function record() {
  say(`# A day with kvorum

What follows was recorded: \`npm run session\` starts three members, uses them, loses one, loses all, and writes
this page with what the commands printed in a terminal of ${columns} columns, colours left out. \`$ENDPOINTS\` are the members'.

## Start

Three members, each with the same line but for its name and ports:`);
  const three = ['m1', 'm2', 'm3'];
  shown('text', [`$ ${lineOf(serverWords('m1'))} &`]);
  for (const name of three) start(name, serverWords(name));
  await until(['put', '/config/log-level', 'debug'], endpoints(...three), 'OK');
  say('\n## Put, get, watch\n');
  run(['put', '/config/log-level', 'info']);
  run(['get', '--prefix', '/config/']);
  run(['put', '/config/limits', '{"requests":100,"perSeconds":10}']);
  run(['get', '/config/limits']);
  const watched = await watching(['watch', '--prefix', '/config/'], async () => {
    call(['put', '/config/log-level', 'warn']);
    call(['del', '/config/limits']);
  });
  say('A watch in another terminal, while somebody changes the level and deletes the limits:\n');
  shown('text', ['$ kvorum watch --prefix /config/', ...watched]);
  run(['history', '/config/log-level']);
  say('\n## Look\n');
  run(['status']);
  run(['top', '--once', '--interval', '1s']);
  say('\n## A member is killed\n');
  const lost = await follower();
  shown('text', [`$ kill -9 $(cat ${lost}.pid)`]);
  await killed(lost);
  run(['put', '/orders/1', 'paid']);
  await sleep(2_000);
  run(['status'], three, 1);
  say('\n## It is replaced\n');
  say(
    'Its disk is lost as well, so a new member takes its place, started by one line on its machine:\n',
  );
  const id = idOf(lost);
  const rest = three.filter((name) => name !== lost);
  shown('text', [`$ ${lineOf(joinWords('m4', rest[0]))} &`]);
  start('m4', joinWords('m4', rest[0]));
  const replace = ['member', 'replace', id, '--peer-urls', url(peer('m4')), '--yes'];
  run(replace, rest);
  const now = [...rest, 'm4'];
  run(['member', 'list'], now);
  run(['status'], now);
  say('\n## Back up\n');
  run(['backup', join(folder, 'backups')], now);
  run(['put', '/orders/2', 'paid'], now);
  run(['backup', join(folder, 'backups'), '--incremental'], now);
  const good = revisionOf(now);
  say('And then the mistake of the day:\n');
  run(['del', '--prefix', '/orders/'], now);
  run(['backup', join(folder, 'backups'), '--incremental'], now);
  run(['backup', 'list', join(folder, 'backups')], []);
  run(['backup', 'drill', join(folder, 'backups')], []);
  say('\n## All is lost\n');
  shown('text', ['$ pkill -9 kvorum; rm -rf m1.data m2.data m3.data m4.data']);
  for (const name of now) await killed(name);
  for (const name of names) rmSync(join(folder, `${name}.data`), { recursive: true, force: true });
  say(`\n## And restored, to before the mistake\n`);
  const restore = ['restore', join(folder, 'backups'), '--to-revision', String(good)];
  run([...restore, '--name', 'm1', '--data-dir', join(folder, 'm1.data'), ...own('m1')], []);
  const again = alone('m1');
  start('m1', again);
  shown('text', [`$ ${lineOf(again)} &`]);
  await until(['get', '/orders/1'], endpoints('m1'), 'paid');
  run(['get', '--prefix', '/orders/'], ['m1']);
  run(['status'], ['m1']);
}

function serverWords(name) {
  const cluster = ['m1', 'm2', 'm3'].map((one) => `${one}=${url(peer(one))}`).join(',');
  return [...listening(name), '--initial-cluster', cluster];
}

function listening(name) {
  return [
    ...['server', '--name', name, '--data-dir', join(folder, `${name}.data`)],
    ...['--listen-client-urls', url(client(name)), '--advertise-client-urls', url(client(name))],
    ...['--listen-peer-urls', url(peer(name)), '--initial-advertise-peer-urls', url(peer(name))],
    ...['--log-level', 'warn'],
  ];
}

function own(name) {
  const advertised = url(peer(name));
  return [
    ...['--initial-cluster', `${name}=${advertised}`, '--initial-advertise-peer-urls', advertised],
  ];
}

function alone(name) {
  return [...listening(name), '--initial-cluster', `${name}=${url(peer(name))}`];
}

function joinWords(name, of) {
  const [, ...words] = listening(name);
  return ['join', url(client(of)), ...words];
}

function lineOf(words) {
  return ['kvorum', ...words].join(' ').replaceAll(`${folder}/`, '');
}

function start(name, words) {
  const log = openSync(join(folder, `${name}.log`), 'a');
  const child = spawn(process.execPath, [program, ...words], { stdio: ['ignore', log, log] });
  processes.set(name, child);
}

async function killed(name) {
  const child = processes.get(name);
  processes.delete(name);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

/** One that does not lead. */
async function follower() {
  for (const name of ['m2', 'm3', 'm1']) {
    const { out } = call(['endpoint', 'status', '-w', 'json'], [name]);
    const [{ Status: status }] = JSON.parse(out);
    if (status.leader !== status.header.member_id) return name;
  }
  throw new Error('nobody follows');
}

function idOf(name) {
  const { out } = call(['member', 'list', '-w', 'simple'], ['m1', 'm2', 'm3']);
  const line = out.split('\n').find((one) => one.includes(url(peer(name))));
  const id = /[0-9a-f]{8,16}/.exec(line ?? '')?.[0];
  if (id === undefined) throw new Error(`${name} is not in ${out}`);
  return id;
}

function revisionOf(members) {
  const { out } = call(['get', '/', '-w', 'json'], members);
  return /"revision":(\d+)/.exec(out)?.[1];
}

/** Asks until the answer has `wanted` in it. */
async function until(words, at, wanted) {
  const lateMs = Date.now() + patienceMs;
  for (;;) {
    const { stdout } = spawnSync(process.execPath, [program, ...words, '--endpoints', at], {
      encoding: 'utf8',
    });
    if (stdout.includes(wanted)) return;
    if (Date.now() > lateMs) throw new Error(`${words.join(' ')} never says ${wanted}: ${stdout}`);
    await sleep(200);
  }
}

/** Runs a command that nobody looks at. */
function call(words, members = ['m1', 'm2', 'm3']) {
  const at = ['--endpoints', endpoints(...members)];
  const done = spawnSync(process.execPath, [program, ...words, ...at], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${words.join(' ')}: ${done.stdout}${done.stderr}`);
  return { out: done.stdout };
}

/** Runs a command in a terminal, and writes what it printed into the page. */
function run(words, members = ['m1', 'm2', 'm3'], status = 0) {
  const at = members.length === 0 ? [] : ['--endpoints', endpoints(...members)];
  const done = spawnSync('script', terminal([...words, ...at]), {
    encoding: 'utf8',
    env: { ...process.env, TERM: 'xterm', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = linesOf(done.stdout);
  if (done.status !== status) throw new Error(`${words.join(' ')}: ${said.join('\n')}`);
  const asked = members.length === 0 ? '' : ' --endpoints $ENDPOINTS';
  shown('text', [`$ ${lineOf(words)}${asked}`, ...said]);
}

/** What a command that goes on prints while `act` runs. */
async function watching(words, act) {
  const args = terminal([...words, '--endpoints', endpoints('m1', 'm2', 'm3')]);
  const child = spawn('script', args, {
    env: { ...process.env, TERM: 'xterm', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await sleep(1_500);
  await act();
  await sleep(1_500);
  child.kill('SIGTERM');
  return linesOf(text);
}

function terminal(words) {
  const quoted = [process.execPath, program, ...words].map((word) => `'${word}'`).join(' ');
  const line = `stty cols ${columns} rows ${lines}; exec ${quoted}`;
  return ['--quiet', '--return', '--flush', '--command', line, '/dev/null'];
}

function linesOf(text) {
  const lines = stripVTControlCharacters(text)
    .replaceAll(`${folder}/`, '')
    .split('\n')
    // What was written over a line is what stayed of it.
    .map((line) => line.replace(/\r+$/, '').split('\r').at(-1).trimEnd());
  while (lines.at(-1) === '') lines.pop();
  return lines.filter((line) => !/^Session terminated/.test(line));
}

function say(text) {
  page.push(text);
}

function shown(language, lines) {
  page.push(`\`\`\`${language}`, ...lines, '```', '');
}
