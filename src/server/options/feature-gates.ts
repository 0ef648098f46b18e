/** etcd's feature gates (--feature-gates). Facts: C-10.6, server/features of etcd. */

import { goBool } from './flag-value.js';
import type { Flags } from './flags.js';
import { canonicalHost } from './same-urls.js';
import { isIpHost, parseUrl } from './urls.js';
import { quote, UsageError } from './usage-error.js';

export type GateName = (typeof gateTable)[number][0];

/** A gate and what it is set to. */
export interface FeatureGate {
  readonly name: GateName;
  readonly stage: 'ALPHA' | 'BETA';
  readonly enabled: boolean;
}

/** What the gates switch in a server. */
export interface Gated {
  /** All of them, by name; some have nothing to switch here and are only checked. */
  readonly featureGates: readonly FeatureGate[];
  /** InitialCorruptCheck: compare with other members before serving. */
  readonly initialCorruptCheck: boolean;
  /** 0: no check after compactions (CompactHashCheck is off). */
  readonly compactHashCheckMs: number;
  /** LeaseCheckpoint: remaining times of long leases survive a change of leader. */
  readonly leaseCheckpoints: boolean;
  /** StopGRPCServiceOnDefrag: a member that defragments tells that it does not serve. */
  readonly notServingOnDefragment: boolean;
  /** SetMemberLocalAddr: where members are called from; undefined: the system chooses. */
  readonly peerLocalAddress: string | undefined;
}

/** Name, stage, and what it means here: for docs/configuration.md. */
export const gateTable = [
  ['AllAlpha', 'ALPHA', 'All of stage ALPHA that are not named.'],
  ['AllBeta', 'BETA', 'All of stage BETA that are not named.'],
  [
    'CompactHashCheck',
    'ALPHA',
    'The leader compares hashes of compacted revisions, each `--compact-hash-check-time`.',
  ],
  [
    'FastLeaseKeepAlive',
    'BETA',
    'Nothing to switch: the lease is always looked up first, and only one that is not there is ' +
      'waited for.',
  ],
  [
    'InitialCorruptCheck',
    'ALPHA',
    'A member compares its data with those of the others before it serves.',
  ],
  [
    'LeaseCheckpoint',
    'ALPHA',
    'The remaining time of long leases survives a change of leader, and restarts.',
  ],
  [
    'LeaseCheckpointPersist',
    'ALPHA',
    'Needs LeaseCheckpoint, as in etcd. Nothing to switch: checkpoints are always stored.',
  ],
  [
    'PriorityRequest',
    'ALPHA',
    'Nothing to switch: what must not wait in an overloaded member never does.',
  ],
  [
    'SetMemberLocalAddr',
    'ALPHA',
    'Members are called from the first address in `--initial-advertise-peer-urls` that is in ' +
      'numbers and no loopback one.',
  ],
  [
    'StopGRPCServiceOnDefrag',
    'ALPHA',
    'The gRPC health service answers NOT_SERVING during a defragmentation, which here blocks nothing.',
  ],
  [
    'TxnModeWriteWithSharedBuffer',
    'BETA',
    "Nothing to switch: it tunes etcd's reads in transactions.",
  ],
] as const satisfies ReadonlyArray<readonly [string, 'ALPHA' | 'BETA', string]>;

/** See {@link Gated}; adds to `warnings` what is unwise. Throws {@link UsageError}. */
export function readGated(
  flags: Flags,
  advertisePeerUrls: readonly string[],
  warnings: string[],
): Gated {
  const featureGates = readFeatureGates(flags.text('feature-gates'), warnings);
  const isOn = (gate: GateName): boolean => featureGates.some((g) => g.name === gate && g.enabled);
  const compactHashCheckMs = flags.number('compact-hash-check-time');
  if (compactHashCheckMs === 0) {
    throw new UsageError('--compact-hash-check-time must be >0 (set to 0s)');
  }
  return {
    featureGates,
    initialCorruptCheck: isOn('InitialCorruptCheck'),
    compactHashCheckMs: isOn('CompactHashCheck') ? compactHashCheckMs : 0,
    leaseCheckpoints: isOn('LeaseCheckpoint'),
    notServingOnDefragment: isOn('StopGRPCServiceOnDefrag'),
    peerLocalAddress: isOn('SetMemberLocalAddr')
      ? localAddress(advertisePeerUrls, warnings)
      : undefined,
  };
}

/** As etcd infers it: the first advertised one in numbers that others can reach. */
function localAddress(
  advertisePeerUrls: readonly string[],
  warnings: string[],
): string | undefined {
  for (const text of advertisePeerUrls) {
    const url = parseUrl(text);
    if (typeof url === 'string' || !isIpHost(url.host)) continue;
    const host = canonicalHost(url.host);
    const isOwn = /^127\./.test(host) || ['0.0.0.0', '::', '::1'].includes(host);
    if (!isOwn) return host;
  }
  warnings.push(
    'feature gate SetMemberLocalAddr: --initial-advertise-peer-urls has no address in numbers ' +
      'that is not a loopback one; calls to members come from whatever address the system chooses',
  );
  return undefined;
}

/**
 * All of them as the text sets them. UsageError if it is not `Gate=true|false,...` of gates that
 * exist and go together; what is unwise is added to `warnings`.
 */
function readFeatureGates(text: string, warnings: string[]): readonly FeatureGate[] {
  const set = readAssignments(text);
  const gates = gateTable.map(([name, stage]) => {
    if (name === 'AllAlpha' || name === 'AllBeta') {
      return { name, stage, enabled: set.get(name) ?? false };
    }
    const ofStage = set.get(stage === 'ALPHA' ? 'AllAlpha' : 'AllBeta');
    // Alpha ones are off unless asked for, beta ones on.
    return { name, stage, enabled: set.get(name) ?? ofStage ?? stage === 'BETA' };
  });
  const isOn = (gate: GateName): boolean =>
    gates.some(({ name, enabled }) => name === gate && enabled);
  if (isOn('LeaseCheckpointPersist') && !isOn('LeaseCheckpoint')) {
    throw new UsageError(
      'enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint',
    );
  }
  if (isOn('StopGRPCServiceOnDefrag')) {
    warnings.push(
      'feature gate StopGRPCServiceOnDefrag: defragmentation blocks nothing here; clients that ' +
        'ask for health are sent away all the same',
    );
  }
  return gates;
}

function readAssignments(text: string): ReadonlyMap<string, boolean> {
  const set = new Map<string, boolean>();
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const [gate = '', value] = part.split(/=(.*)/s).map((text) => text.trim());
    if (!gateTable.some(([name]) => name === gate)) {
      throw new UsageError(`--feature-gates: unrecognized feature gate: ${quote(gate)}`);
    }
    const enabled = goBool(value ?? '');
    if (enabled === undefined) {
      throw new UsageError(`--feature-gates: ${gate} must be followed by =true or =false`);
    }
    set.set(gate, enabled);
  }
  return set;
}
