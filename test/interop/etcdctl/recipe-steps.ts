/** Lock and elect without contention; with contention see etcdctl-compare.test.ts. */

import type { EtcdctlStep } from '../../helpers/etcdctl.js';
import { step } from './step.js';

export const recipeSteps: readonly EtcdctlStep[] = [
  step('lock mutex', { until: /mutex\/[0-9a-f]+\n/ }),
  step('get mutex --prefix'),
  step('lock mutex echo held'),
  step('lock mutex --ttl=5 false'),
  step('lock mutex --ttl=0 true'),
  step('lock'),
  step('get mutex --prefix'),
  step('elect vote me', { until: /\nme\n/ }),
  step('get vote --prefix'),
  step('elect'),
  step('elect -l'),
  step('elect a b c'),
];
