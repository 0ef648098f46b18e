/** The rows of the flag table for security, monitoring, logging, features. Facts: C-10. */

import { flagGroup } from './flag-spec.js';

const intMax32 = 2 ** 31 - 1;
const rotation =
  '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}';

export const securityFlags = flagGroup('security', [
  ['implemented', 'cert-file', 'path', '', 'Certificate (PEM) of the client port.'],
  ['implemented', 'key-file', 'path', '', 'Its private key (PEM).'],
  ['implemented', 'client-cert-auth', 'bool', 'false', 'Clients must present a certificate.'],
  ['ignored', 'client-cert-file', 'path', '', 'For the gateway; it runs inside the server here.'],
  ['ignored', 'client-key-file', 'path', '', 'For the gateway; it runs inside the server here.'],
  ['implemented', 'client-crl-file', 'path', '', 'Revoked client certificates (DER or PEM).'],
  [
    'implemented',
    'client-cert-allowed-cn',
    'texts',
    '',
    "Common names that clients may have. In etcd only in the file, 'allowed-cn'.",
  ],
  [
    'implemented',
    'client-cert-allowed-hostname',
    'texts',
    '',
    'Host names or addresses, for one of which a client certificate must be.',
  ],
  ['implemented', 'trusted-ca-file', 'path', '', 'Authorities that client certificates come from.'],
  [
    'implemented',
    'auto-tls',
    'bool',
    'false',
    'Client port: TLS with a generated certificate; ignored if there are files.',
  ],
  ['implemented', 'peer-cert-file', 'path', '', 'Certificate (PEM) of the peer port.'],
  ['implemented', 'peer-key-file', 'path', '', 'Its private key (PEM).'],
  ['implemented', 'peer-client-cert-auth', 'bool', 'false', 'Peers must present a certificate.'],
  ['implemented', 'peer-client-cert-file', 'path', '', 'Another certificate for calls to peers.'],
  ['implemented', 'peer-client-key-file', 'path', '', 'Its private key (PEM).'],
  ['implemented', 'peer-trusted-ca-file', 'path', '', 'Authorities that peers are checked with.'],
  ['implemented', 'peer-cert-allowed-cn', 'texts', '', 'Common names that peers may have.'],
  [
    'implemented',
    'peer-cert-allowed-hostname',
    'texts',
    '',
    'Host names or addresses, for one of which the certificate of a peer must be.',
  ],
  [
    'implemented',
    'peer-auto-tls',
    'bool',
    'false',
    'Peer port: TLS with a generated certificate; ignored if there are files.',
  ],
  [
    'implemented',
    'self-signed-cert-validity',
    'int',
    '1',
    'Years that generated certificates are valid.',
    { min: 0, max: 100 },
  ],
  ['implemented', 'peer-crl-file', 'path', '', 'Revoked peer certificates (DER or PEM).'],
  ['implemented', 'cipher-suites', 'texts', '', 'TLS 1.2 suites by their IANA names.'],
  ['implemented', 'cors', 'texts', '*', 'Origins that browsers may call from.'],
  ['implemented', 'host-whitelist', 'texts', '*', 'Host names accepted over plain HTTP.'],
  [
    'implemented',
    'tls-min-version',
    'choice',
    'TLS1.2',
    'Oldest TLS version to accept.',
    { choices: ['TLS1.2', 'TLS1.3'] },
  ],
  [
    'implemented',
    'tls-max-version',
    'choice',
    '',
    'Newest TLS version to use; empty is the newest there is.',
    { choices: ['', 'TLS1.2', 'TLS1.3'] },
  ],
  [
    'implemented',
    'peer-skip-client-san-verification',
    'bool',
    'false',
    'Do not compare the address of a peer with its certificate.',
  ],
]);

export const authFlags = flagGroup('auth', [
  ['implemented', 'auth-token', 'text', 'simple', "Kind of tokens: 'simple' or 'jwt,options'."],
  ['implemented', 'bcrypt-cost', 'int', '10', 'Cost of hashing a password.', { min: 4, max: 31 }],
  [
    'implemented',
    'auth-token-ttl',
    'int',
    '300',
    'Seconds that an unused token lives.',
    { min: 1, max: intMax32 },
  ],
]);

export const monitoringFlags = flagGroup('monitoring', [
  [
    'implemented',
    'enable-pprof',
    'bool',
    'false',
    'CPU and heap profiles under /debug/pprof/ of the client ports.',
    { differs: 'only profile and heap, of JavaScript; one at a time' },
  ],
  [
    'implemented',
    'metrics',
    'choice',
    'basic',
    "'extensive' adds a histogram of RPC times.",
    { choices: ['basic', 'extensive'] },
  ],
  ['implemented', 'listen-metrics-urls', 'urls', '', 'More places for /metrics and health checks.'],
  ['accepted', 'enable-distributed-tracing', 'bool', 'false', 'OpenTelemetry traces.'],
  ['accepted', 'distributed-tracing-address', 'text', 'localhost:4317', 'Trace collector.'],
  ['accepted', 'distributed-tracing-service-name', 'text', 'etcd', 'Trace service name.'],
  ['accepted', 'distributed-tracing-instance-id', 'text', '', 'Trace instance id.'],
  [
    'accepted',
    'distributed-tracing-sampling-rate',
    'int',
    '0',
    'Traces in a million requests.',
    { min: 0, max: 1_000_000 },
  ],
]);

export const loggingFlags = flagGroup('logging', [
  ['ignored', 'logger', 'choice', 'zap', 'There is one kind of log.', { choices: ['zap'] }],
  [
    'implemented',
    'log-outputs',
    'texts',
    'default',
    "'default' (stderr), 'stderr', 'stdout' or file paths.",
  ],
  [
    'implemented',
    'log-level',
    'choice',
    'info',
    'Least severe lines to write, in letters of any size.',
    {
      choices: ['debug', 'info', 'warn', 'warning', 'error', 'dpanic', 'panic', 'fatal', ''],
      anyCase: true,
    },
  ],
  [
    'implemented',
    'log-format',
    'choice',
    'json',
    "'console' is for reading by eye.",
    { choices: ['json', 'console'] },
  ],
  [
    'implemented',
    'enable-log-rotation',
    'bool',
    'false',
    'Put the log file aside when it has grown; needs one path in --log-outputs.',
  ],
  [
    'implemented',
    'log-rotation-config-json',
    'text',
    rotation,
    'maxsize in MiB, maxage in days, maxbackups files (0: no limit), localtime, compress.',
    { differs: 'negative numbers are refused' },
  ],
  [
    'implemented',
    'raft-trace-file',
    'path',
    '',
    "kvorum's own: what Raft does, a line of JSON an event, for a specification.",
  ],
  [
    'implemented',
    'warning-unary-request-duration',
    'duration',
    '300ms',
    'Unary requests that take longer are logged; 0 is 300ms.',
  ],
  [
    'implemented',
    'warning-apply-duration',
    'duration',
    '100ms',
    'Log entries that take longer to apply are logged.',
  ],
]);

export const featureFlags = flagGroup('features', [
  [
    'implemented',
    'corrupt-check-time',
    'duration',
    '0s',
    'Time between corruption checks; 0 is off.',
  ],
  [
    'implemented',
    'compact-hash-check-time',
    'duration',
    '1m',
    'Time between compaction hash checks.',
  ],
  [
    'implemented',
    'compaction-batch-limit',
    'int',
    '1000',
    'Revisions that compaction removes at once.',
    { min: 1, max: 1_000_000 },
  ],
  [
    'implemented',
    'compaction-sleep-interval',
    'duration',
    '10ms',
    'Pause between two such batches.',
    { max: 60_000 },
  ],
  [
    'implemented',
    'watch-progress-notify-interval',
    'duration',
    '10m',
    'Time between progress notices to idle watchers.',
    { min: 100 },
  ],
  [
    'ignored',
    'bootstrap-defrag-threshold-megabytes',
    'int',
    '0',
    'For bbolt; LevelDB needs no defragmentation at start.',
    { min: 0, differs: 'ignored' },
  ],
  [
    'implemented',
    'downgrade-check-time',
    'duration',
    '5s',
    'Time between looks whether a downgrade is complete; 0 is off.',
  ],
  ['ignored', 'v2-deprecation', 'noop', 'write-only', 'Deprecated by etcd; its value is not read.'],
]);

export const unsafeFlags = flagGroup('unsafe', [
  [
    'implemented',
    'force-new-cluster',
    'bool',
    'false',
    'Go on as the only member: all others are removed for good.',
  ],
  [
    'implemented',
    'unsafe-no-fsync',
    'bool',
    'false',
    'Do not wait for the disk. Data is lost with power. Only for tests.',
  ],
]);

export const ignoredFlags = flagGroup(
  'ignored',
  [
    'cluster-active-size',
    'cluster-remove-delay',
    'cluster-sync-interval',
    'config',
    'force',
    'max-result-buffer',
    'max-retry-attempts',
    'peer-heartbeat-interval',
    'peer-election-timeout',
    'retry-interval',
    'snapshot',
    'v',
    'vv',
    'test.coverprofile',
    'test.outputdir',
  ].map((name) => ['ignored', name, 'noop', '', 'Accepted and ignored, as etcd does.'] as const),
);
