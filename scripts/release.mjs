/**
 * `npm run release -- VERSION`: everything that makes a version of what is on the branch, up to the
 * point where others see it. Numbers and CHANGELOG.md are changed, the package is built and packed,
 * and the result is committed and tagged. If anything fails, the files are as they were. Nothing is
 * pushed or published: the last lines say how.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const usage = `usage: npm run release -- major|minor|patch|X.Y.Z[-pre.N] [options]

  --dry-run          checks everything and says what would be done
  --date DATE        of the version (today, UTC)
  --out DIR          where the tarball goes (dist/release)
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
export function release(root, args, { npm, say }) {
  try {
    const options = parse(args);
    if (options === undefined) {
      process.stdout.write(usage);
      return 0;
    }
    const plan = planOf(root, options);
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
  if (version === undefined || rest.length > 0) throw new ReleaseError(usage.trimEnd());
  if (!/^\d{4}-\d\d-\d\d$/.test(values.date)) throw new ReleaseError('--date is YYYY-MM-DD');
  return { version, dryRun: values['dry-run'], date: values.date, out: values.out };
}

/** Checks what can be checked before anything is touched. */
function planOf(root, { version, date, out }) {
  const read = (path) => readFileSync(join(root, path), 'utf8');
  const from = JSON.parse(read('package.json')).version;
  const to = nextVersion(from, version);
  const tag = `v${to}`;
  const changed = git(root, ['status', '--porcelain']);
  if (changed !== '') throw new ReleaseError(`commit or remove these first:\n${changed}`);
  if (git(root, ['tag', '--list', tag]) !== '')
    throw new ReleaseError(`tag ${tag} is there already`);
  const notes = notesOf(read(changelog));
  const edits = new Map([
    [changelog, read(changelog).replace(unreleased, `${unreleased}\n\n## ${to} - ${date}`)],
    ['package.json', replaced(root, 'package.json', `"version": "${from}"`, `"version": "${to}"`)],
    ['package-lock.json', lockOf(read('package-lock.json'), to)],
    [versionSource, replaced(root, versionSource, `'${from}'`, `'${to}'`)],
    ...deployed.map(([path, textOf]) => [path, replaced(root, path, textOf(from), textOf(to))]),
  ]);
  return { from, to, tag, edits, message: `kvorum ${to}\n\n${notes}`, out: join(root, out) };
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

/** What stands below Unreleased. */
function notesOf(text) {
  const start = text.indexOf(`${unreleased}\n`);
  if (start < 0) throw new ReleaseError(`${changelog} has no ${unreleased}`);
  const [section] = text.slice(start + unreleased.length).split(/^## /m);
  if (!/^[-*] /m.test(section)) throw new ReleaseError(`${changelog}: nothing is ${unreleased}`);
  return section.trim();
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
    for (const [path, text] of edits) writeFileSync(join(root, path), text);
    const tarball = pack(root, out, npm);
    say(`packed ${tarball.path}, ${tarball.files} files, sha256 ${tarball.sha256}`);
    git(root, ['add', ...edits.keys()]);
    git(root, ['commit', '--quiet', '--message', `Release ${to}`]);
  } catch (error) {
    for (const [path, bytes] of before) writeFileSync(join(root, path), bytes);
    git(root, ['reset', '--quiet']);
    throw error;
  }
  git(root, ['tag', '--annotate', tag, '--cleanup=verbatim', '--message', message]);
  say(`committed and tagged ${tag}. If .ci/run passes on it, others may have it:`);
  say(`  git push --follow-tags && npm publish ${join(out, `kvorum-${to}.tgz`)}`);
}

/** The tarball as npm would publish it; `prepack` builds it. */
function pack(root, out, npm) {
  mkdirSync(out, { recursive: true });
  const { file, args } = npm(['pack', '--json', '--pack-destination', out]);
  const stdio = ['ignore', 'pipe', 'inherit'];
  const run = spawnSync(file, args, { cwd: root, stdio, encoding: 'utf8' });
  if (run.status !== 0) throw new ReleaseError('npm pack failed; see above. Nothing was changed.');
  const [{ filename, files }] = JSON.parse(run.stdout);
  const path = join(out, filename);
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  return { path, files: files.length, sha256 };
}

function git(root, args) {
  const run = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  if (run.error !== undefined) throw new ReleaseError(`git: ${run.error.message}`);
  if (run.status !== 0) throw new ReleaseError(`git ${args[0]}: ${run.stderr.trim()}`);
  return run.stdout.trim();
}
