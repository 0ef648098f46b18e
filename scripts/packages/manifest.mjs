/** package.json of a package: what is written in packages/, and what follows from the build. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes it into `dir`. Version, home and engines are the checkout's, since all packages are
 * released together; `imports` are the packages that the code asks for, in the checkout's ranges.
 */
export function writeManifest(root, dir, folder, imports) {
  const read = (...path) => JSON.parse(readFileSync(join(root, ...path), 'utf8'));
  const checkout = read('package.json');
  const { version, license, homepage, repository, bugs, engines } = checkout;
  const {
    dependencies: ours = {},
    peerDependencies: peers = {},
    ...own
  } = read('packages', folder, 'package.json');
  const dependencies = Object.fromEntries(
    Object.keys(ours).map((name) => [name, isOurs(name) ? version : ours[name]]),
  );
  const peerDependencies = Object.fromEntries(
    Object.entries(peers).map(([name, range]) => [name, checkout.dependencies[name] ?? range]),
  );
  for (const name of imports) {
    // Others are what libraries would like to have, and do without: `ws` asks for bufferutil.
    if (checkout.dependencies[name] === undefined) continue;
    if (!(name in peerDependencies)) dependencies[name] ??= rangeOf(name);
  }
  function rangeOf(name) {
    const range = checkout.dependencies[name];
    // Half of it is in the bundle already; both halves have to be of one version.
    return name === 'classic-level' ? read('node_modules', name, 'package.json').version : range;
  }
  const manifest = {
    ...own,
    version,
    license,
    homepage,
    repository,
    bugs,
    engines,
    ...(Object.keys(dependencies).length > 0 && { dependencies: sorted(dependencies) }),
    ...(Object.keys(peerDependencies).length > 0 && { peerDependencies: sorted(peerDependencies) }),
  };
  writeFileSync(join(dir, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Released with this package, so of exactly its version. */
function isOurs(name) {
  return name === 'kvorum' || name.startsWith('@kvorum/');
}

function sorted(record) {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
