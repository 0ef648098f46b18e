/**
 * Makes the output of two servers comparable: what must differ (ids, ports, times, sizes, terms,
 * indexes, versions) becomes a name, everything else stays as it is.
 *
 * A mask never hides whether something is there, only its value; and ids are masked by known
 * value where they are known, so that an id in the wrong place still shows.
 */

/** Values to replace, with the name that replaces each. */
export type KnownValues = Map<string, string>;

/** JSON members whose values differ between any two servers, with their masks. */
const jsonMasks: Readonly<Record<string, string>> = {
  raft_term: '<term>',
  raftTerm: '<term>',
  raftIndex: '<index>',
  raftAppliedIndex: '<index>',
  dbSize: '<size>',
  dbSizeInUse: '<size>',
  version: '<version>',
  took: '<duration>',
};

/** Masks within text, tried in this order on each line. */
const textMasks: readonly (readonly [RegExp, string])[] = [
  [/took = [0-9.]+[a-zµ]+/g, 'took = <duration>'],
  [/\btook [0-9.]+[a-zµ]+/g, 'took <duration>'],
  [/"Took" : [0-9.]+[a-zµ]+/g, '"Took" : <duration>'],
  [
    /"(RaftTerm|RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse|Version of server)" : \d+/g,
    '"$1" : <n>',
  ],
  [/"Version" : "\d+\.\d+\.\d+"/g, '"Version" : "<version>"'],
  [/\b\d+(\.\d+)? [kM]?B\b/g, '<size>'],
  // How much of the quota, or of the file, is in use.
  [/, \d+%, /g, ', <share>, '],
  [/, \d+\.\d+\.\d+, /g, ', <version>, '],
  [/((?:true|false), (?:true|false)), \d+, \d+, \d+,/g, '$1, <term>, <index>, <index>,'],
  // Ids are padded to 16 digits.
  [/^Member +</, 'Member <'],
  [/\bcluster +<cluster>/, 'cluster <cluster>'],
  // Keys of locks and elections end in the lease id of a session.
  [/\/[0-9a-f]{9,16}$/, '/<lease>'],
];

/** Masks what etcdctl printed, line by line. */
export function maskOutput(text: string, known: KnownValues): string {
  return text
    .split('\n')
    .map((line) => maskLine(line, known))
    .join('\n');
}

function maskLine(line: string, known: KnownValues): string {
  const named = maskKnown(line, known);
  if (/^\s*\{"level":/.test(line)) return maskLogLine(line, known);
  if (/^\s*[[{]/.test(line)) {
    const json = maskJson(named);
    if (json !== undefined) return json;
  }
  let masked = named;
  for (const [pattern, name] of textMasks) masked = masked.replace(pattern, name);
  return maskRemaining(masked);
}

/** Replaces known values wherever they stand, the longest first. */
export function maskKnown(text: string, known: KnownValues): string {
  let masked = text;
  const values = [...known.keys()].sort((a, b) => b.length - a.length);
  for (const value of values) masked = masked.replaceAll(value, known.get(value) ?? value);
  return masked;
}

/** etcdctl's own log lines: what was said and the error, without when, where and to whom. */
function maskLogLine(line: string, known: KnownValues): string {
  try {
    const fields: unknown = JSON.parse(line);
    if (!isRecord(fields)) return line;
    const error = fields.error === undefined ? '' : ` error=${String(fields.error)}`;
    return maskKnown(`log ${String(fields.level)}: ${String(fields.msg)}${error}`, known);
  } catch {
    return line;
  }
}

function maskJson(line: string): string | undefined {
  // A masked id stands bare where a number stood: quote it before parsing.
  const quoted = line.replace(/(":)(<[a-z0-9 -]+>)/gi, '$1"$2"');
  try {
    return JSON.stringify(JSON.parse(quoted), (key, value: unknown) =>
      // A key's version is behaviour; only a program's version (1.2.3) is masked.
      key in jsonMasks && (key !== 'version' || isProgramVersion(value)) ? jsonMasks[key] : value,
    );
  } catch {
    return undefined;
  }
}

function isProgramVersion(value: unknown): boolean {
  return typeof value === 'string' && /^\d+\.\d+\.\d+/.test(value);
}

/** The remaining time of a lease may be some seconds short of the granted one, not more. */
function maskRemaining(line: string): string {
  const match = /TTL\((\d+)s\), remaining\((-?\d+)s\)/.exec(line);
  if (match === null) return line;
  const missing = Number(match[1]) - Number(match[2]);
  const name = missing >= 0 && missing <= 15 ? '<nearly all>' : `<${missing} s short>`;
  return line
    .replace(/remaining\(-?\d+s\)/, `remaining(${name})`)
    .replace(/attached keys\(\[(.*)\]\)/, (_all, keys: string) => {
      // Their order is unspecified (C-3.10), and random in etcd.
      return `attached keys([${keys.split(' ').sort().join(' ')}])`;
    });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
