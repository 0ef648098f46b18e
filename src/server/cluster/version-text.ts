/** Versions as texts: "major.minor.patch" with what semver allows behind it. */

const numberDigitsMax = 19;
const int64Max = 2n ** 63n - 1n;

/**
 * "major.minor.0" of a version that a client typed, with or without its patch; undefined if it is
 * none. As etcd's reader of versions: leading zeros and what stands behind `-` or `+` do not count.
 */
export function majorMinorOf(text: string): string | undefined {
  const [, ...digits] = versionText.exec(text) ?? [];
  if (digits.length === 0) return undefined;
  const [major, minor, patch] = digits.map((some) => int64Of(some ?? '0'));
  if (major === undefined || minor === undefined || patch === undefined) return undefined;
  return `${major}.${minor}.0`;
}

const identifiers = '(?:[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?';
const versionText = new RegExp(
  `^(\\d+)\\.(\\d+)(?:\\.(\\d+)(?:-${identifiers})?(?:\\+${identifiers})?)?$`,
);

function int64Of(digits: string): string | undefined {
  const plain = digits.replace(/^0+(?=\d)/, '');
  if (plain.length > numberDigitsMax || BigInt(plain) > int64Max) return undefined;
  return plain;
}

/** "major.minor.0" of the lowest one. */
export function lowestVersion(versions: readonly string[]): string {
  let lowest: readonly [number, number] = [Number.POSITIVE_INFINITY, 0];
  for (const version of versions) {
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major < lowest[0] || (major === lowest[0] && minor < lowest[1])) lowest = [major, minor];
  }
  return `${lowest[0]}.${lowest[1]}.0`;
}

/** "major.minor.0" of the one minor version below; undefined below the first of a major one. */
export function oneMinorBelow(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return minor > 0 ? `${major}.${minor - 1}.0` : undefined;
}

/** "major.minor", as clients are told the cluster version. */
export function withoutPatch(version: string): string {
  return version.split('.', 2).join('.');
}
