/**
 * Alarms: replicated facts of the form "member M says T", which outlive restarts and never clear by
 * themselves (C-6.1). NOSPACE stops what adds data, CORRUPT stops nearly everything.
 */

import type { MemberId } from '../../common/index.js';
import { AlarmType } from '../../proto/index.js';
import type { MvccWriteTxn, StoredMeta } from '../../storage/index.js';

export interface Alarm {
  readonly memberId: MemberId;
  readonly alarm: number;
}

const metaPrefix = 'alarm/';
/** What the meta record of an alarm holds; its name says all. */
export const alarmPresent = Buffer.from([1]);

export class Alarms {
  readonly #alarms = new Map<string, Alarm>();

  /** Reads what is stored, in the place of what was known. */
  restore(store: StoredMeta): void {
    this.#alarms.clear();
    for (const [name] of store.metaEntries(metaPrefix)) {
      const alarm = parseAlarmName(name);
      if (alarm !== undefined) this.#alarms.set(name, alarm);
    }
  }

  get noSpace(): boolean {
    return this.#alarms.size > 0 && this.list(AlarmType.NOSPACE).length > 0;
  }

  get corrupt(): boolean {
    return this.#alarms.size > 0 && this.list(AlarmType.CORRUPT).length > 0;
  }

  /** Alarms of one type, or all for NONE, by member id. */
  list(type: number): Alarm[] {
    return [...this.#alarms.values()]
      .filter((alarm) => type === AlarmType.NONE || alarm.alarm === type)
      .sort((a, b) => (a.memberId < b.memberId ? -1 : a.memberId > b.memberId ? 1 : 0));
  }

  /** Stores the alarm; type NONE is no alarm. Returns what the reply lists. */
  activate(txn: MvccWriteTxn, alarm: Alarm): Alarm[] {
    if (alarm.alarm === AlarmType.NONE) return [];
    const name = alarmMetaName(alarm);
    if (!this.#alarms.has(name)) {
      this.#alarms.set(name, alarm);
      txn.setMeta(name, alarmPresent);
    }
    return [alarm];
  }

  /** Needs the exact pair; one that is not there is no error and lists nothing. */
  deactivate(txn: MvccWriteTxn, alarm: Alarm): Alarm[] {
    const name = alarmMetaName(alarm);
    if (!this.#alarms.delete(name)) return [];
    txn.setMeta(name, undefined);
    return [alarm];
  }
}

/** Name of the meta record that stands for an alarm. */
export function alarmMetaName(alarm: Alarm): string {
  return `${metaPrefix}${alarm.memberId.toString(16).padStart(16, '0')}/${alarm.alarm}`;
}

/** The alarm that a meta record stands for; undefined if it is no alarm. */
export function parseAlarmName(name: string): Alarm | undefined {
  if (!name.startsWith(metaPrefix)) return undefined;
  const [id, type] = name.slice(metaPrefix.length).split('/');
  return { memberId: BigInt(`0x${id}`), alarm: Number(type) };
}

/** What etcd calls an alarm of this type; '' for one that there is not. */
export function alarmName(type: number): string {
  return type === AlarmType.NOSPACE ? 'NOSPACE' : type === AlarmType.CORRUPT ? 'CORRUPT' : '';
}
