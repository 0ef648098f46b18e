/**
 * Flags that etcd once had and that start scripts still pass. Each is an error that says what to
 * use instead; a config file with such a key only gets a warning, as its samples are full of them.
 */

/** Removed flags other than --experimental-*, with what to do. */
const removedFlags: ReadonlyMap<string, string> = new Map([
  ['enable-v2', 'The v2 API is gone since 3.6; remove the flag.'],
  ['discovery', 'v2 discovery is gone since 3.7; use --discovery-token and --discovery-endpoints.'],
  ['discovery-proxy', 'v2 discovery is gone since 3.7; remove the flag.'],
  ['proxy', 'The v2 proxy is gone; point clients at the members directly.'],
  ['proxy-failure-wait', 'The v2 proxy is gone; remove the flag.'],
  ['proxy-refresh-interval', 'The v2 proxy is gone; remove the flag.'],
  ['proxy-dial-timeout', 'The v2 proxy is gone; remove the flag.'],
  ['proxy-write-timeout', 'The v2 proxy is gone; remove the flag.'],
  ['proxy-read-timeout', 'The v2 proxy is gone; remove the flag.'],
  ['debug', 'Use --log-level=debug.'],
  ['log-package-levels', 'Use --log-level.'],
  ['log-output', 'Use --log-outputs.'],
  ['addr', 'Use --advertise-client-urls.'],
  ['bind-addr', 'Use --listen-client-urls.'],
  ['peers', 'Use --initial-cluster.'],
]);

const featureGateOf: ReadonlyMap<string, string> = new Map([
  ['initial-corrupt-check', 'InitialCorruptCheck'],
  ['compact-hash-check-enabled', 'CompactHashCheck'],
  ['txn-mode-write-with-shared-buffer', 'TxnModeWriteWithSharedBuffer'],
  ['enable-lease-checkpoint', 'LeaseCheckpoint'],
  ['enable-lease-checkpoint-persist', 'LeaseCheckpointPersist'],
  ['stop-grpc-service-on-defrag', 'StopGRPCServiceOnDefrag'],
  ['set-member-localaddr', 'SetMemberLocalAddr'],
]);

const experimental = 'experimental-';

/**
 * What to do instead of a flag that etcd no longer has; undefined if it never had it.
 * `isFlag` tells whether a name is a flag of today.
 */
export function removedFlagRemedy(
  name: string,
  isFlag: (name: string) => boolean,
): string | undefined {
  if (!name.startsWith(experimental)) return removedFlags.get(name);
  const rest = name.slice(experimental.length);
  const gate = featureGateOf.get(rest);
  if (gate !== undefined) return `Use --feature-gates=${gate}=true.`;
  if (isFlag(rest)) return `Use --${rest}.`;
  return 'All --experimental-* flags are gone since 3.7; remove it or use --feature-gates.';
}

/** Names for docs/configuration.md. */
export const removedFlagNames: readonly string[] = [...removedFlags.keys(), 'experimental-*'];
