/** What etcdctl shows while the NOSPACE alarm is raised, and after it was disarmed. */

import type { EtcdctlStep } from '../../helpers/etcdctl.js';
import { step } from './step.js';

export const alarmSteps: readonly EtcdctlStep[] = [
  step('alarm list'),
  step('alarm list -w json'),
  step('endpoint health'),
  step('endpoint status'),
  step('endpoint status -w json'),
  step('put n/a 1'),
  { args: ['txn'], stdin: '\nput n/a 1\n\n\n' },
  { args: ['txn'], stdin: '\nget n/a\ndel n/a\n\n\n' },
  step('lease grant 100'),
  step('get n/a'),
  step('del n/a'),
  step('compaction 1'),
  step('defrag'),
  step('alarm disarm'),
  step('alarm list'),
  step('endpoint health'),
  step('put n/a 1'),
];
