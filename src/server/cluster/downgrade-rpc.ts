/** Maintenance.Downgrade (C-6.12). Etcd's texts, and its order of checks. */

import { type Caller, EtcdError } from '../../common/index.js';
import { DowngradeAction, downgradeRequest, downgradeResponse } from '../../proto/index.js';
import type { MethodHandler } from '../../transport/index.js';
import { EntryKind, type EntryType, newEntry } from '../entry/index.js';
import type { Host } from '../feature/index.js';
import { headerAt, unaryMethod } from '../rpc/index.js';
import type { ClusterVersion } from './cluster-version.js';
import { type Downgrade, type DowngradeStep, encodeDowngradeStep } from './downgrade.js';
import { majorMinorOf, oneMinorBelow, withoutPatch } from './version-text.js';

export type DowngradeEntry = EntryType<DowngradeStep, true>;

export interface DowngradeRpcOptions {
  readonly version: Pick<ClusterVersion, 'version'>;
  readonly downgrade: Pick<Downgrade, 'state'>;
  readonly entry: DowngradeEntry;
}

export function downgradeMethod(
  host: Host,
  { downgrade, entry, version }: DowngradeRpcOptions,
): readonly [string, MethodHandler] {
  const isOn = (): boolean => downgrade.state.targetVersion !== undefined;
  /** Resolves with the target as "major.minor.0" once it is known that it may be enabled. */
  const validate = async (asked: string): Promise<string> => {
    const targetVersion = majorMinorOf(asked);
    if (targetVersion === undefined) throw new EtcdError('DOWNGRADE_BAD_FORMAT');
    await host.readBarrier();
    if (targetVersion !== oneMinorBelow(version.version)) {
      throw new EtcdError('DOWNGRADE_BAD_TARGET');
    }
    if (isOn()) throw new EtcdError('DOWNGRADE_IN_PROGRESS');
    return targetVersion;
  };
  const execute = async (action: number, asked: string, caller?: Caller): Promise<void> => {
    const step = (next: DowngradeStep) => proposeStep(host, entry, next, caller);
    switch (action) {
      case DowngradeAction.VALIDATE:
        await validate(asked);
        return;
      case DowngradeAction.ENABLE:
        await step({ type: 'enable', targetVersion: await validate(asked) });
        return;
      case DowngradeAction.CANCEL:
        await host.readBarrier();
        // As in etcd: what is not on is cancelled.
        if (isOn()) await step({ type: 'cancel', targetVersion: '' });
        return;
      default:
        throw new EtcdError('UNKNOWN_METHOD');
    }
  };
  return unaryMethod(host, '/etcdserverpb.Maintenance/Downgrade', async (bytes, call) => {
    const { action, version: asked } = downgradeRequest.decode(bytes);
    await execute(action, asked, call.caller);
    const answer = { version: withoutPatch(version.version) };
    call.reply(downgradeResponse.encode(answer, headerAt(host, host.store.revision)));
  });
}

/** Resolves when the step is applied; rejects with an EtcdError. `caller`: see newEntry. */
export function proposeStep(
  host: Host,
  entry: DowngradeEntry,
  step: DowngradeStep,
  caller: Caller | undefined,
): Promise<void> {
  const data = newEntry(EntryKind.downgrade, encodeDowngradeStep(step), caller);
  const { type, targetVersion } = step;
  return new Promise((resolve, reject) => {
    const respond = (_context: undefined, _step: DowngradeStep, error: Error | undefined): void => {
      if (error !== undefined) reject(error);
      else {
        host.logger.warn('downgrade of the cluster', { step: type, targetVersion });
        resolve();
      }
    };
    host.propose(entry, data, step, respond, undefined);
  });
}
