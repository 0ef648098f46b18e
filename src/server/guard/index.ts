/** What every request passes before it is done: see docs/architecture.md, "Guards". */
export { type AlarmEntry, type AlarmResult, alarmEntry, raisedAlarm } from './alarm-entry.js';
export {
  type Alarm,
  Alarms,
  alarmMetaName,
  alarmName,
  alarmPresent,
  parseAlarmName,
} from './alarms.js';
export { SpaceGuard } from './space.js';
export { TokenBuckets } from './token-buckets.js';
