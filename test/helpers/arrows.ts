/**
 * Who may import whom: test/tidy.test.ts holds the code to it, test/docs/paths.test.ts the page
 * that tells it (docs/architecture.md).
 */

/** Folder of src -> folders that it may import from. One way only; docs/architecture.md. */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  common: [],
  proto: ['common'],
  raft: ['common'],
  storage: ['common', 'raft', 'proto'],
  transport: ['common'],
  server: ['backup', 'common', 'proto', 'raft', 'storage', 'transport'],
  // Backups: the server writes them, commands do, and both read them.
  backup: ['common'],
  client: ['common', 'proto', 'transport'],
  // Looks at code that uses the client; imports nothing of it.
  'eslint-plugin': [],
  // Commands that talk to a cluster.
  ctl: ['backup', 'common', 'proto', 'client'],
  // Warms up on a member that needs no machine.
  cli: ['backup', 'common', 'proto', 'transport', 'client', 'ctl', 'server', 'sim'],
  // Runs before all of the others, and loads them.
  launch: [],
  // Whole members without a machine.
  sim: ['common', 'raft', 'server', 'storage'],
  testing: ['common', 'server', 'sim'],
  // The package's entrance.
  'index.ts': ['server', 'sim'],
};

/**
 * The same below a folder of src: folder -> what is directly in it, folder or file -> what of it
 * that may import. What is not listed may not be there. Folders meet only through index.ts.
 */
export const mayImportInside: Readonly<
  Record<string, Readonly<Record<string, readonly string[]>>>
> = {
  'src/cli': {
    'command-io.ts': [],
    'failure.ts': [],
    'files.ts': [],
    server: ['command-io.ts', 'failure.ts'],
    restore: ['command-io.ts', 'failure.ts'],
    join: ['command-io.ts', 'server'],
    'warm-up': [],
    'programs.ts': [],
    'staged-file.ts': [],
    'held-output.ts': [],
    'ctl-io.ts': ['held-output.ts', 'programs.ts', 'staged-file.ts'],
    'snapshots.ts': ['restore'],
    up: ['files.ts'],
    'kvorum.ts': [
      ...['command-io.ts', 'ctl-io.ts', 'files.ts', 'join', 'restore', 'server', 'snapshots.ts'],
      ...['up', 'warm-up'],
    ],
  },
  'src/ctl': {
    command: [],
    connect: ['command', 'failure'],
    // Answers in the formats of etcdctl.
    print: ['command'],
    // What several groups of commands stand on.
    text: [],
    answers: ['print'],
    watching: [],
    session: ['watching'],
    confirm: ['command'],
    progress: ['command'],
    // What a failed call is to who reads it.
    failure: ['command'],
    show: ['command'],
    // Groups of commands: none knows another.
    backup: ['command', 'show'],
    auth: ['command', 'connect', 'print'],
    context: ['command', 'failure', 'print'],
    cluster: ['command', 'connect', 'failure', 'print', 'progress', 'show'],
    data: ['command', 'confirm', 'print', 'progress'],
    kv: ['answers', 'command', 'print', 'text'],
    watch: ['answers', 'command', 'failure', 'print', 'text', 'watching'],
    lease: ['command', 'failure', 'print', 'session'],
    concurrency: ['answers', 'command', 'print', 'session', 'watching'],
    mirror: ['command', 'connect', 'watching'],
    check: ['command', 'connect'],
    snapshot: ['command', 'failure', 'print', 'progress'],
    benchmark: ['command', 'connect', 'show'],
    look: ['command', 'connect', 'show'],
    up: ['command'],
    utility: ['command'],
    version: ['command'],
    members: ['command'],
    'commands.ts': [
      ...['auth', 'backup', 'benchmark', 'check', 'cluster', 'command', 'concurrency'],
      ...['context', 'data'],
      ...['kv', 'lease', 'look', 'members', 'mirror', 'snapshot', 'up', 'utility', 'version'],
      'watch',
    ],
    'run.ts': ['command', 'commands.ts', 'connect', 'context', 'failure', 'print'],
    'index.ts': ['command', 'connect', 'members', 'run.ts'],
  },
  'src/launch': {
    'called.ts': [],
    'code-cache.ts': [],
    'place.ts': [],
    'folder-place.ts': ['code-cache.ts', 'place.ts'],
    'native-code.ts': [],
    'old-generation.ts': [],
    'program.ts': ['place.ts'],
    'stack-traces.ts': [],
    'young-generation.ts': [],
    'start.ts': [
      'old-generation.ts',
      'place.ts',
      'program.ts',
      'stack-traces.ts',
      'young-generation.ts',
    ],
    'single.ts': ['called.ts', 'code-cache.ts', 'native-code.ts', 'place.ts', 'start.ts'],
    'index.ts': ['called.ts', 'folder-place.ts', 'start.ts'],
  },
  'src/client': {
    'errors.ts': [],
    'limits.ts': [],
    // What is refused at the call.
    strict: ['errors.ts'],
    connection: ['errors.ts', 'limits.ts', 'strict'],
    call: ['connection', 'errors.ts', 'limits.ts', 'strict'],
    // What kv and watch have in common: neither could be below the other.
    keyspace: ['call', 'errors.ts', 'limits.ts', 'strict'],
    watch: ['call', 'connection', 'errors.ts', 'keyspace', 'limits.ts', 'strict'],
    kv: ['call', 'connection', 'errors.ts', 'keyspace', 'limits.ts', 'strict', 'watch'],
    lease: ['call', 'connection', 'errors.ts', 'limits.ts', 'strict'],
    admin: ['call', 'errors.ts', 'keyspace', 'strict'],
    // What is built on a client knows this interface, not what makes one.
    'client.ts': ['admin', 'call', 'connection', 'keyspace', 'kv', 'lease'],
    'etcd-options.ts': ['call', 'client.ts', 'connection', 'errors.ts', 'strict'],
    'parts.ts': ['call', 'client.ts', 'connection', 'errors.ts', 'limits.ts'],
    raw: [
      ...['call', 'client.ts', 'connection', 'errors.ts', 'etcd-options.ts', 'keyspace'],
      'parts.ts',
    ],
    'etcd.ts': [
      ...['admin', 'call', 'client.ts', 'connection', 'etcd-options.ts'],
      ...['keyspace', 'kv', 'lease', 'limits.ts', 'parts.ts', 'watch'],
    ],
    coordination: [
      ...['call', 'client.ts', 'errors.ts', 'keyspace', 'kv', 'lease', 'limits.ts', 'strict'],
    ],
    discovery: [
      ...['call', 'client.ts', 'coordination', 'errors.ts'],
      ...['keyspace', 'kv', 'limits.ts', 'strict'],
    ],
    config: [
      ...['call', 'client.ts', 'coordination', 'errors.ts'],
      ...['keyspace', 'kv', 'limits.ts', 'strict', 'watch'],
    ],
    observe: ['call'],
    'index.ts': [
      ...['admin', 'call', 'client.ts', 'config', 'connection', 'coordination', 'discovery'],
      ...['errors.ts', 'etcd.ts', 'keyspace', 'kv', 'lease', 'observe', 'watch'],
    ],
  },
  'src/proto': {
    hot: [],
    table: ['generated', 'hot'],
    json: ['generated', 'hot'],
    'index.ts': ['hot', 'json', 'table'],
  },
  'src/server': {
    // What everything stands on.
    options: [],
    metrics: ['options'],
    peers: ['metrics', 'options'],
    platform: ['metrics', 'options'],
    // Who may do what is asked by entries, guards and handlers.
    access: [],
    // The state that all features share, and the contract between them and the node.
    entry: ['access'],
    guard: ['access', 'entry'],
    membership: ['peers'],
    feature: ['access', 'entry', 'guard', 'membership', 'metrics', 'options', 'peers'],
    rpc: ['access', 'feature', 'guard', 'metrics', 'options'],
    // Looks on at the door, and when a call has ended.
    audit: ['metrics', 'options', 'rpc'],
    trace: ['metrics', 'options', 'rpc'],
    // Features: none knows the node, and only a whole member knows them.
    auth: ['access', 'entry', 'feature', 'options', 'rpc'],
    concurrency: ['access', 'feature', 'rpc'],
    cluster: [
      ...['access', 'entry', 'feature', 'membership', 'metrics', 'options', 'peers', 'rpc'],
    ],
    kv: ['access', 'entry', 'feature', 'metrics', 'options', 'rpc'],
    lease: ['access', 'entry', 'feature', 'metrics', 'peers', 'rpc'],
    maintenance: [
      ...['access', 'backup', 'cluster', 'entry', 'feature', 'guard', 'membership', 'metrics'],
      ...['peers', 'rpc'],
    ],
    reflection: ['feature', 'rpc'],
    'scheduled-backup': ['backup', 'bootstrap', 'feature', 'lease', 'metrics', 'options'],
    watch: ['access', 'feature', 'metrics', 'rpc'],
    // The node knows no feature.
    bootstrap: ['entry', 'membership', 'options', 'peers'],
    transfer: ['peers'],
    node: [
      ...['access', 'bootstrap', 'entry', 'feature', 'guard', 'membership', 'metrics', 'options'],
      ...['peers', 'transfer'],
    ],
    backup: ['access', 'bootstrap', 'cluster', 'guard', 'lease', 'membership', 'options'],
    http: ['feature', 'guard'],
    gateway: ['rpc'],
    // A whole member, and the sockets around it.
    'member.ts': [
      ...['audit', 'auth', 'cluster', 'concurrency', 'kv', 'lease', 'maintenance', 'reflection'],
      ...['scheduled-backup', 'watch'],
      ...['feature', 'guard', 'metrics', 'node', 'options', 'rpc'],
    ],
    'answers-memory.ts': ['metrics', 'options'],
    'listeners.ts': ['http', 'metrics', 'options'],
    'live-tls.ts': ['metrics', 'node', 'options', 'platform'],
    'server.ts': [
      ...['answers-memory.ts', 'gateway', 'http', 'listeners.ts', 'live-tls.ts', 'member.ts'],
      ...['metrics', 'node', 'options', 'peers', 'platform', 'rpc', 'trace'],
    ],
    'index.ts': ['backup', 'bootstrap', 'metrics', 'node', 'options', 'platform', 'server.ts'],
  },
  'src/storage': {
    'remedies.ts': [],
    'disk-failure.ts': [],
    'sync-path.ts': ['disk-failure.ts'],
    wal: ['disk-failure.ts', 'remedies.ts', 'sync-path.ts'],
    bbolt: [],
    // What stands in the KvStore is known to all that read or write one; index knows none of them.
    schema: ['remedies.ts'],
    index: [],
    level: ['disk-failure.ts', 'remedies.ts', 'schema', 'sync-path.ts'],
    // Neither knows the store: it fills and saves, sends and takes in, what it is given.
    recovery: ['index', 'schema'],
    transfer: ['level', 'schema'],
    mvcc: ['index', 'level', 'recovery', 'schema', 'transfer'],
    'index.ts': [
      ...['bbolt', 'disk-failure.ts', 'level', 'mvcc', 'remedies.ts', 'schema', 'sync-path.ts'],
      ...['transfer', 'wal'],
    ],
  },
};
