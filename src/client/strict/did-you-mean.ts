/**
 * What somebody may have meant who wrote a name that nobody knows: a slip of the keys, or the name
 * that another client has for it.
 */

/** Names of other clients (etcd3 on npm, Go, the protocol itself) -> ours. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  hosts: ['endpoints'],
  host: ['endpoints', 'address'],
  endpoint: ['endpoints'],
  servers: ['endpoints'],
  urls: ['endpoints'],
  url: ['endpoints'],
  auth: ['credentials'],
  username: ['user'],
  name: ['user', 'id'],
  pass: ['password'],
  timeout: ['timeoutMs'],
  deadline: ['timeoutMs'],
  dialtimeout: ['connectTimeoutMs'],
  connecttimeout: ['connectTimeoutMs'],
  connectiontimeout: ['connectTimeoutMs'],
  dialkeepalivetime: ['keepalive'],
  ssl: ['tls'],
  onwatch: ['onEvent'],
  logger: ['onEvent'],
  abortsignal: ['signal'],
  rootcertificate: ['ca'],
  rootcerts: ['ca'],
  cafile: ['ca'],
  cacert: ['ca'],
  certchain: ['cert'],
  certificate: ['cert'],
  certfile: ['cert'],
  privatekey: ['key'],
  keyfile: ['key'],
  servername: ['serverName'],
  rejectunauthorized: ['insecureSkipVerify'],
  prevkv: ['prev'],
  withprevkv: ['prev'],
  ignorelease: ['keepLease'],
  leaseid: ['lease', 'id'],
  ttl: ['ttlSeconds'],
  rev: ['revision'],
  startrevision: ['fromRevision'],
  progressnotify: ['progress'],
  filters: ['only'],
  countonly: ['keysOnly'],
  sortby: ['sort'],
  sorttarget: ['sort'],
  retries: ['retry'],
  maxretries: ['attemptsMax'],
  maxattempts: ['attemptsMax'],
  retrycount: ['attemptsMax'],
  rangeend: ['to'],
  end: ['to'],
  start: ['from'],
  nodes: ['size', 'endpoints'],
  members: ['size'],
  count: ['size', 'count'],
  target: ['by'],
  direction: ['order'],
  asc: ['ascending'],
  ascend: ['ascending'],
  desc: ['descending'],
  descend: ['descending'],
  '==': ['='],
  '===': ['='],
  equal: ['='],
  '!==': ['!='],
  '<>': ['!='],
  greater: ['>'],
  less: ['<'],
  '>=': ['>'],
  '<=': ['<'],
  noput: ['delete'],
  nodelete: ['put'],
  grpcjs: ['grpc-js'],
  grpc: ['grpc-js'],
};

/** One of `known` that `word` may have been meant for; undefined: none is near. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const plain = word.toLowerCase().replace(/[_\s]|(?<=\w)-(?=\w)/g, '');
  const other = Object.hasOwn(elsewhere, plain) ? elsewhere[plain] : undefined;
  const translated = other?.find((name) => known.includes(name));
  if (translated !== undefined) return translated;
  let best: string | undefined;
  let bestSteps = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const name of known) {
    const steps = stepsBetween(plain, name.toLowerCase());
    if (steps < bestSteps) [best, bestSteps] = [name, steps];
  }
  return best;
}

/** Letters to insert, delete, replace, or swap with their neighbour. */
function stepsBetween(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let steps = Math.min(
        at(i - 1, j) + 1,
        (row[j - 1] ?? 0) + 1,
        at(i - 1, j - 1) + (same ? 0 : 1),
      );
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) steps = Math.min(steps, at(i - 2, j - 2) + 1);
      row.push(steps);
    }
  }
  return at(a.length, b.length);
}
