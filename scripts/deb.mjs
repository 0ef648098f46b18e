/**
 * `npm run deb`: a Debian package of the single executable, dist/deb/kvorum_VERSION_ARCH.deb, with
 * unit, settings and user (deploy/systemd, deploy/debian). It is a folder that dpkg-deb packs.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { BinaryError, buildBinary } from './binary.mjs';

const architectures = { x64: 'amd64', arm64: 'arm64' };
/** What Node is linked with. Not in every small image: libatomic1. */
const libraries = 'libc6 (>= 2.28), libstdc++6 (>= 9), libgcc-s1, libatomic1';

/** Builds it in a checkout that is built itself; resolves to its path. */
export async function buildDeb(root, say) {
  if (spawnSync('dpkg-deb', ['--version'], { stdio: 'ignore' }).status !== 0) {
    throw new BinaryError('dpkg-deb is not installed', true);
  }
  const binary = await buildBinary(root, say);
  const state = stateOf(root);
  const { description, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const architecture = architectures[process.arch];
  const out = join(root, 'dist/deb');
  const deb = join(out, `kvorum_${version}_${architecture}.deb`);
  const stamp = join(out, '.stamp');
  if (existsSync(deb) && existsSync(stamp) && readFileSync(stamp, 'utf8') === state) return deb;
  const tree = join(out, 'tree');
  const add = (from, to, mode) => {
    mkdirSync(dirname(join(tree, to)), { recursive: true });
    if (Buffer.isBuffer(from)) writeFileSync(join(tree, to), from);
    else copyFileSync(from, join(tree, to));
    chmodSync(join(tree, to), mode);
  };
  rmSync(tree, { recursive: true, force: true });
  add(binary, 'usr/bin/kvorum', 0o755);
  add(join(root, 'deploy/systemd/kvorum.service'), 'usr/lib/systemd/system/kvorum.service', 0o644);
  add(join(root, 'deploy/systemd/kvorum.default'), 'etc/default/kvorum', 0o644);
  const docs = 'usr/share/doc/kvorum';
  add(Buffer.from(licences(root)), `${docs}/copyright`, 0o644);
  const changes = gzipSync(readFileSync(join(root, 'CHANGELOG.md')), { level: 9 });
  add(changes, `${docs}/changelog.gz`, 0o644);
  for (const script of ['postinst', 'prerm', 'postrm']) {
    add(join(root, 'deploy/debian', script), `DEBIAN/${script}`, 0o755);
  }
  add(Buffer.from('/etc/default/kvorum\n'), 'DEBIAN/conffiles', 0o644);
  const control = controlFile({
    version,
    architecture,
    description,
    kib: Math.ceil(statSync(binary).size / 1024),
  });
  add(Buffer.from(control), 'DEBIAN/control', 0o644);
  say('packing the Debian package ...');
  // Not xz, which takes minutes for the few megabytes that it saves.
  const args = ['--root-owner-group', '-Zzstd', '-z9', '--build', tree, deb];
  const run = spawnSync('dpkg-deb', args, { encoding: 'utf8' });
  if (run.status !== 0) throw new BinaryError(`dpkg-deb: ${run.error ?? run.stderr}`);
  rmSync(tree, { recursive: true, force: true });
  writeFileSync(stamp, state);
  say(`built ${deb}, ${Math.round(statSync(deb).size / 1024 / 1024)} MiB`);
  return deb;
}

/** What the package is made of: unchanged, there is nothing to do. */
function stateOf(root) {
  const files = ['systemd', 'debian'].flatMap((name) => {
    const dir = join(root, 'deploy', name);
    return readdirSync(dir).map((file) => join(dir, file));
  });
  for (const file of ['CHANGELOG.md', 'LICENSE', 'package.json', 'scripts/deb.mjs']) {
    files.push(join(root, file));
  }
  const hash = createHash('sha256').update(readFileSync(join(root, 'dist/binary/.stamp')));
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex');
}

function controlFile({ version, architecture, description, kib }) {
  // A version with a letter behind it comes before the one without, for Debian with a tilde.
  return `Package: kvorum
Version: ${version.replace('-', '~')}
Architecture: ${architecture}
Maintainer: The kvorum authors <kvorum@localhost>
Installed-Size: ${kib}
Depends: adduser, ${libraries}
Recommends: systemd
Section: database
Priority: optional
Description: ${description.split(':')[0]}
 kvorum holds configuration, service registrations, locks and elections for
 other programs. It speaks the protocol of etcd 3.7, to etcd's clients and
 tools. The program is a single file and needs no Node.js.
`;
}

/** Ours, that of Node with all that is in it, and those of the packages that were joined. */
function licences(root) {
  const node = join(root, `scripts/binary/node_modules/node-${process.platform}-${process.arch}`);
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const packages = Object.entries(lock.packages)
    .filter(([path, { dev, optional }]) => path !== '' && !dev && !optional)
    .map(([path]) => [path.replace(/^.*node_modules\//, ''), join(root, path)]);
  return [['kvorum', root], ['Node.js', node], ...packages]
    .map(([name, dir]) => [name, readdirSync(dir).find((each) => /^licen[cs]e/i.test(each)), dir])
    .filter(([, file]) => file !== undefined)
    .map(([name, file, dir]) => `${name}:\n\n${readFileSync(join(dir, file), 'utf8')}\n`)
    .join('\n');
}
