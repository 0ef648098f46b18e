/** etcd's feature gates (--feature-gates). Facts: C-10.6, server/features of etcd. */

import { quote, UsageError } from './usage-error.js';

/** A gate and what it is set to. */
export interface FeatureGate {
  readonly name: string;
  readonly stage: 'ALPHA' | 'BETA';
  readonly enabled: boolean;
}

const known: ReadonlyArray<readonly [name: string, stage: FeatureGate['stage']]> = [
  ['AllAlpha', 'ALPHA'],
  ['AllBeta', 'BETA'],
  ['CompactHashCheck', 'ALPHA'],
  ['FastLeaseKeepAlive', 'BETA'],
  ['InitialCorruptCheck', 'ALPHA'],
  ['LeaseCheckpoint', 'ALPHA'],
  ['LeaseCheckpointPersist', 'ALPHA'],
  ['PriorityRequest', 'ALPHA'],
  ['SetMemberLocalAddr', 'ALPHA'],
  ['StopGRPCServiceOnDefrag', 'ALPHA'],
  ['TxnModeWriteWithSharedBuffer', 'BETA'],
];

/** UsageError if the text is not `Gate=true|false,...` of gates that exist. */
export function readFeatureGates(text: string): readonly FeatureGate[] {
  const set = new Map<string, boolean>();
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const [gate = '', value = ''] = part.trim().split('=');
    if (!known.some(([name]) => name === gate)) {
      throw new UsageError(`--feature-gates: unrecognized feature gate: ${quote(gate)}`);
    }
    if (value !== 'true' && value !== 'false') {
      throw new UsageError(`--feature-gates: ${gate} must be followed by =true or =false`);
    }
    set.set(gate, value === 'true');
  }
  return known.map(([name, stage]) => {
    if (name === 'AllAlpha' || name === 'AllBeta') {
      return { name, stage, enabled: set.get(name) ?? false };
    }
    const ofStage = set.get(stage === 'ALPHA' ? 'AllAlpha' : 'AllBeta');
    // Alpha ones are off unless asked for, beta ones on.
    return { name, stage, enabled: set.get(name) ?? ofStage ?? stage === 'BETA' };
  });
}
