/** The log entry that raises or clears an alarm. */

import type { Caller, MemberId } from '../../common/index.js';
import { AlarmAction, alarmRequest, type MessageOf } from '../../proto/index.js';
import { EntryKind, type EntryType, entryType, newEntry, onlyRoot } from '../entry/index.js';
import type { Alarm, Alarms } from './alarms.js';

export type AlarmRequest = MessageOf<typeof alarmRequest>;

/** What the entry yields: the alarms that it raised or cleared. */
export interface AlarmResult {
  readonly alarms: readonly Alarm[];
}

export type AlarmEntry = EntryType<AlarmRequest, AlarmResult>;

/** Applied also when the store is full or corrupt: it is the way out. */
export function alarmEntry(alarms: Alarms): AlarmEntry {
  return entryType<AlarmRequest, AlarmResult>({
    kind: EntryKind.alarm,
    operation: 'Alarm',
    decode: (body) => alarmRequest.decode(body),
    refusedWhenCorrupt: false,
    isUrgent: true,
    allows: onlyRoot,
    apply: (txn, { action, memberId, alarm }) => {
      const changed =
        action === AlarmAction.ACTIVATE
          ? alarms.activate(txn, { memberId, alarm })
          : alarms.deactivate(txn, { memberId, alarm });
      return { alarms: changed };
    },
  });
}

/** The request that raises `alarm` for the member, and its entry; `caller` see newEntry. */
export function raisedAlarm(
  memberId: MemberId,
  alarm: number,
  caller: Caller | undefined,
): { readonly request: AlarmRequest; readonly data: Buffer } {
  const request = { action: AlarmAction.ACTIVATE, memberId, alarm };
  return { request, data: newEntry(EntryKind.alarm, alarmRequest.encode(request), caller) };
}
