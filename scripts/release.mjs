/**
 * `npm run release`: everything that makes a version of what is on the branch, up to the point
 * where others see it. Changes that wait in files of their own go to CHANGELOG.md, numbers are
 * changed, the packages are built and packed, and the result is committed and tagged. If anything
 * fails, the files are as they were. Nothing is pushed or published: the last lines say how.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pendingChanges, withSentences } from './packages/changesets.mjs';
import { packageFolders } from './packages/index.mjs';

const usage = `usage: npm run release -- [major|minor|patch|X.Y.Z[-pre.N]] [options]

Without a version it is the one that the files in packages/.changeset ask for.

  --dry-run          checks everything and says what would be done
  --date DATE        of the version (today, UTC)
  --out DIR          where the tarballs go (dist/release)
`;

const changelog = 'CHANGELOG.md';
const versionSource = 'src/common/kvorum-version.ts';
/** Files of deploy/ that name the version, and how. */
const deployed = [
  ['deploy/docker/compose.yaml', (version) => `image: kvorum:${version}\n`],
  ['deploy/kubernetes/statefulset.yaml', (version) => `image: kvorum:${version}\n`],
  ['deploy/helm/kvorum/Chart.yaml', (version) => `version: ${version}\nappVersion: ${version}\n`],
];
const unreleased = '## Unreleased';
const semver = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/;

/** What hinders a release, in words for people. */
class ReleaseError extends Error {}

/**
 * Makes the release; returns the exit code. `npm` is how to run npm (file, args), `say` prints a
 * line.
 */
export async function release(root, args, { npm, say }) {
  try {
    const options = parse(args);
    if (options === undefined) {
      process.stdout.write(usage);
      return 0;
    }
    const changes = await pendingChanges(root, npm).catch((cause) => {
      throw new ReleaseError(`packages/.changeset: ${cause.message}`, { cause });
    });
    const plan = planOf(root, { ...options, changes });
    say(`version ${plan.from} -> ${plan.to}, tag ${plan.tag}, with this text:`);
    process.stdout.write(`${plan.message}\n`);
    if (options.dryRun) say('dry run: nothing was changed.');
    else carryOut(root, plan, npm, say);
    return 0;
  } catch (error) {
    if (!(error instanceof ReleaseError) && !String(error.code).startsWith('ERR_PARSE'))
      throw error;
    say(error.message);
    return 1;
  }
}

function parse(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      'dry-run': { type: 'boolean', default: false },
      date: { type: 'string', default: new Date().toISOString().slice(0, 10) },
      out: { type: 'string', default: 'dist/release' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const [version, ...rest] = positionals;
  if (rest.length > 0) throw new ReleaseError(usage.trimEnd());
  if (!/^\d{4}-\d\d-\d\d$/.test(values.date)) throw new ReleaseError('--date is YYYY-MM-DD');
  return { version, dryRun: values['dry-run'], date: values.date, out: values.out };
}

/** Checks what can be checked before anything is touched. */
function planOf(root, { version, date, out, changes }) {
  const read = (path) => readFileSync(join(root, path), 'utf8');
  const from = JSON.parse(read('package.json')).version;
  const asked = version ?? changes.size;
  if (asked === undefined) throw new ReleaseError(`no change asks for a version\n${usage}`);
  const to = nextVersion(from, asked);
  const tag = `v${to}`;
  const changed = git(root, ['status', '--porcelain']);
  if (changed !== '') throw new ReleaseError(`commit or remove these first:\n${changed}`);
  if (git(root, ['tag', '--list', tag]) !== '')
    throw new ReleaseError(`tag ${tag} is there already`);
  const { before, section, after } = partsOf(read(changelog));
  const notes = changes.sentences.size > 0 ? withSentences(section, changes.sentences) : section;
  if (!/^[-*] /m.test(notes)) throw new ReleaseError(`${changelog}: nothing is ${unreleased}`);
  const edits = new Map([
    [changelog, `${before}${unreleased}\n\n## ${to} - ${date}\n${notes}${after}`],
    ['package.json', replaced(root, 'package.json', `"version": "${from}"`, `"version": "${to}"`)],
    ['package-lock.json', lockOf(read('package-lock.json'), to)],
    [versionSource, replaced(root, versionSource, `'${from}'`, `'${to}'`)],
    ...packageFolders.map((folder) => {
      const path = `packages/${folder}/package.json`;
      // Their own version, and those of each other that they depend on.
      return [path, read(path).replaceAll(`"${from}"`, `"${to}"`)];
    }),
    // What they say stands in CHANGELOG.md then.
    ...changes.files.map((path) => [path, undefined]),
    ...deployed.map(([path, textOf]) => [path, replaced(root, path, textOf(from), textOf(to))]),
  ]);
  return { from, to, tag, edits, message: `kvorum ${to}\n\n${notes.trim()}`, out: join(root, out) };
}

/** The version that `asked` means after `from`; it has to be a later one. */
export function nextVersion(from, asked) {
  const [major, minor, patch] = semver.exec(from).slice(1, 4).map(Number);
  const isPre = semver.exec(from)[4] !== undefined;
  // After 1.0.0-rc.1 comes 1.0.0.
  if (asked === 'patch') return `${major}.${minor}.${isPre ? patch : patch + 1}`;
  if (asked === 'minor') return `${major}.${isPre && patch === 0 ? minor : minor + 1}.0`;
  if (asked === 'major') return `${isPre && minor + patch === 0 ? major : major + 1}.0.0`;
  if (!semver.test(asked)) throw new ReleaseError(`${asked} is not major, minor, patch or X.Y.Z`);
  if (compareVersions(asked, from) <= 0) throw new ReleaseError(`${asked} is not after ${from}`);
  return asked;
}

/** The order of semver 2.0.0, section 11. */
function compareVersions(a, b) {
  const [, ...left] = semver.exec(a);
  const [, ...right] = semver.exec(b);
  for (let i = 0; i < 3; i += 1) {
    if (left[i] !== right[i]) return Number(left[i]) - Number(right[i]);
  }
  if (left[3] === right[3]) return 0;
  if (left[3] === undefined) return 1;
  if (right[3] === undefined) return -1;
  return comparePre(left[3].split('.'), right[3].split('.'));
}

function comparePre(left, right) {
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const [a, b] = [left[i], right[i]];
    if (a === b) continue;
    if (a === undefined) return -1;
    if (b === undefined) return 1;
    const [isNumberA, isNumberB] = [/^\d+$/.test(a), /^\d+$/.test(b)];
    if (isNumberA && isNumberB) return Number(a) - Number(b);
    if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
    return a < b ? -1 : 1;
  }
  return 0;
}

/** CHANGELOG.md before, in and after the part that is not released. */
function partsOf(text) {
  const start = text.indexOf(`${unreleased}\n`);
  if (start < 0) throw new ReleaseError(`${changelog} has no ${unreleased}`);
  const from = start + unreleased.length + 1;
  const length = text.slice(from).search(/^## /m);
  const end = length < 0 ? text.length : from + length;
  return { before: text.slice(0, start), section: text.slice(from, end), after: text.slice(end) };
}

function replaced(root, path, before, after) {
  const text = readFileSync(join(root, path), 'utf8');
  if (text.split(before).length !== 2) throw new ReleaseError(`${path}: not one ${before}`);
  return text.replace(before, after);
}

function lockOf(text, version) {
  const lock = JSON.parse(text);
  lock.version = version;
  lock.packages[''].version = version;
  return `${JSON.stringify(lock, null, 2)}\n`;
}

/** Edits, packs, commits and tags; undoes the edits if one of these fails. */
function carryOut(root, { to, tag, edits, message, out }, npm, say) {
  const before = new Map([...edits.keys()].map((path) => [path, readFileSync(join(root, path))]));
  try {
    for (const [path, text] of edits) {
      if (text === undefined) rmSync(join(root, path));
      else writeFileSync(join(root, path), text);
    }
    for (const { path, sha256 } of pack(root, out, npm)) say(`packed ${path}, sha256 ${sha256}`);
    git(root, ['add', '--all', ...edits.keys()]);
    git(root, ['commit', '--quiet', '--message', `Release ${to}`]);
  } catch (error) {
    for (const [path, bytes] of before) writeFileSync(join(root, path), bytes);
    git(root, ['reset', '--quiet']);
    throw error;
  }
  git(root, ['tag', '--annotate', tag, '--cleanup=verbatim', '--message', message]);
  say(`committed and tagged ${tag}. If .ci/run passes on it, others may have it:`);
  say('  git push --follow-tags');
  say('.github/workflows/release.yml builds the packages of the tag, and publishes them.');
}

/** The tarballs as they would be published. */
function pack(root, out, npm) {
  const { file, args } = npm(['run', '--silent', 'packages', '--', '--out', out]);
  const run = spawnSync(file, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (run.status !== 0) throw new ReleaseError('packing failed; see above. Nothing was changed.');
  const tarballs = readdirSync(out).filter((name) => name.endsWith('.tgz'));
  return tarballs.map((name) => {
    const path = join(out, name);
    return { path, sha256: createHash('sha256').update(readFileSync(path)).digest('hex') };
  });
}

function git(root, args) {
  const run = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  if (run.error !== undefined) throw new ReleaseError(`git: ${run.error.message}`);
  if (run.status !== 0) throw new ReleaseError(`git ${args[0]}: ${run.stderr.trim()}`);
  return run.stdout.trim();
}
