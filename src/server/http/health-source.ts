/** What the health checks read from a member. */

import type { EtcdError } from '../../common/index.js';
import { AlarmType, rangeOf } from '../../proto/index.js';
import type { Host } from '../feature/index.js';
import { alarmName } from '../guard/index.js';
import type { HealthSource } from './health.js';

export function healthSource(host: Host): HealthSource {
  const { alarms, leadership, membership, memberId, store } = host;
  /** As etcd's check: one key, keys only. */
  const read = async (): Promise<Error | undefined> => {
    try {
      await store.range({ ...rangeOf('health'), keysOnly: true, limit: 1 }, undefined);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  };
  return {
    leaderId: () => leadership.leader,
    isLearner: () => membership.get(memberId)?.isLearner ?? false,
    alarms: () => alarms.list(AlarmType.NONE).map(({ alarm }) => alarmName(alarm)),
    linearizableRead: async () => {
      const error = await new Promise<EtcdError | undefined>((resolve) => {
        host.read((_context, wrong) => resolve(wrong), undefined);
      });
      return error ?? (await read());
    },
    serializableRead: read,
  };
}
