/**
 * The script of etcdctl commands that etcdctl-compare.test.ts runs against both servers.
 *
 * Order matters: all steps run on one store, so each sees the revisions the earlier ones made.
 */

import type { EtcdctlStep } from '../../helpers/etcdctl.js';
import { asText } from './decode.js';
import { leaseSteps } from './lease-steps.js';
import { maintenanceSteps } from './maintenance-steps.js';
import { recipeSteps } from './recipe-steps.js';
import { step } from './step.js';
import { watchSteps } from './watch-steps.js';

/** One titled part of the script. */
export interface Chapter {
  readonly title: string;
  readonly steps: readonly EtcdctlStep[];
}

const putSteps: readonly EtcdctlStep[] = [
  step('put foo bar'),
  step('put foo bar2 --prev-kv'),
  step('put foo bar3 --prev-kv -w json'),
  step('put new x --prev-kv'),
  step('put new x --prev-kv -w fields'),
  step('put fromstdin', { stdin: 'a value\nof two lines' }),
  step('get fromstdin'),
  { args: ['put', 'empty', ''] },
  step('get empty'),
  { args: ['put', 'with blank', 'two words'] },
  step('get with --prefix'),
  step('put foo --ignore-value'),
  step('get foo -w json'),
  step('put absent --ignore-value'),
  step('put foo x --ignore-value'),
  step('put foo bar4 --ignore-lease'),
  step('put absent x --ignore-lease'),
  step('put foo bar --lease=5'),
  step('put foo bar --lease=5 --ignore-lease'),
  step('put foo bar --lease=xyz'),
  step('put'),
  step('put only a b'),
  { args: ['put', '', 'v'] },
  step('put foo bar -w json'),
  step('put foo bar -w fields'),
  step('put foo bar -w protobuf', { decode: asText('Put') }),
  step('put foo bar -w table'),
  step('put foo bar -w nonsense'),
  { args: ['put', 'bytes', '\u00fc\u20ac'] },
  step('get bytes -w json'),
];

/** Keys whose orders by key, version, create, mod and value all differ. */
const fillSteps: readonly EtcdctlStep[] = [
  step('put r/c 1'),
  step('put r/a 3'),
  step('put r/b 2'),
  step('put r/a 5'),
  step('put r/a 4'),
  step('put r/c 0'),
  step('put r/d 2'),
  step('put r/e 6 -w json'),
];

const getSteps: readonly EtcdctlStep[] = [
  ...fillSteps,
  step('get r/a'),
  step('get r/a r/c'),
  step('get r/b r/a'),
  step('get r/ --prefix'),
  step('get r/c --from-key'),
  { args: ['get', '', '--prefix', '--keys-only'] },
  { args: ['get', '', '--from-key', '--keys-only'] },
  step('get r/ --prefix --limit=2'),
  step('get r/ --prefix --limit=2 -w json'),
  step('get r/ --prefix --limit=5 -w json'),
  step('get r/ --prefix --limit=0 -w json'),
  step('get r/ --prefix --order=ASCEND'),
  step('get r/ --prefix --order=DESCEND'),
  ...['CREATE', 'KEY', 'MODIFY', 'VALUE', 'VERSION'].flatMap((target) => [
    // r/b and r/d have the same value and version: only total orders may be compared.
    step(`get r/a r/d --sort-by=${target} --order=ASCEND`),
    step(`get r/a r/d --sort-by=${target} --order=DESCEND`),
    step(`get r/a r/d --sort-by=${target}`),
    step(`get r/a r/d --sort-by=${target} --order=DESCEND --limit=2 -w json`),
    step(`get r/a r/d --sort-by=${target} --limit=2 -w json`),
  ]),
  step('get r/a --rev=19'),
  step('get r/ --prefix --rev=22 -w json'),
  step('get r/ --prefix --rev=20 -w fields'),
  step('get r/ --prefix --rev=25'),
  step('get r/a --rev=1'),
  step('get r/a --rev=100000'),
  step('get r/a --rev=-1'),
  step('get r/ --prefix --keys-only'),
  step('get r/a --keys-only -w json'),
  step('get r/a --keys-only -w fields'),
  step('get r/a --print-value-only'),
  step('get r/ --prefix --print-value-only'),
  step('get r/a --consistency=l'),
  step('get r/a --consistency=s'),
  step('get r/a --consistency=x'),
  step('get r/a -w simple'),
  step('get r/a -w json'),
  step('get r/a -w fields'),
  step('get r/a -w protobuf', { decode: asText('Range') }),
  step('get r/ --prefix -w protobuf', { decode: asText('Range') }),
  step('get r/a -w table'),
  step('get r/a --hex'),
  step('get bytes --hex'),
  step('get r/a --hex -w json'),
  step('get r/a --hex -w fields'),
  step('get nothing'),
  step('get nothing -w json'),
  step('get nothing -w fields'),
  step('get'),
  step('get a b c'),
  step('get r/a r/b --prefix'),
  step('get r/ --prefix --from-key'),
  step('get r/a --order=SIDEWAYS'),
  step('get r/a --sort-by=COLOUR'),
  step('get r/a --keys-only --print-value-only'),
];

const delSteps: readonly EtcdctlStep[] = [
  step('put d/a 1'),
  step('put d/b 2'),
  step('put d/c 3'),
  step('put d/d 4'),
  step('put d/e 5'),
  step('del d/nothing'),
  step('del d/nothing -w json'),
  step('del d/a'),
  step('del d/b d/d'),
  step('del d/ --prefix --prev-kv'),
  step('put d/a 6'),
  step('get d/a -w json'),
  step('del d/a --prev-kv -w json'),
  step('put e/a 1'),
  step('put e/b 2'),
  step('del e/ --prefix --prev-kv -w fields'),
  step('put zz/a 1'),
  step('put zz/b 2'),
  step('del zz/ --from-key --prev-kv'),
  step('put e/a 7'),
  step('del e/a -w protobuf', { decode: asText('DeleteRange') }),
  step('del e/a -w table'),
  { args: ['del', ''] },
  step('del'),
  step('del a b c'),
  step('del d/ --prefix --from-key'),
  step('del d/a d/b --prefix'),
];

const txnSteps: readonly EtcdctlStep[] = [
  step('put t/a 1'),
  step('put t/b 2'),
  step('txn', {
    stdin: 'value("t/a") = "1"\n\nput t/a 10\nget t/a\n\nput t/c no\n\n',
  }),
  step('txn', {
    stdin: 'value("t/a") = "1"\n\nput t/a 10\n\nput t/c yes\nget t/ --prefix\n\n',
  }),
  step('txn --interactive', {
    stdin: 'mod("t/a") > "1"\nversion("t/a") = "2"\n\nget t/a\ndel t/c\n\nget t/b\n\n',
  }),
  step('txn -i', { stdin: 'create("t/none") = "0"\n\nput t/new 1\nget t/new\n\n\n' }),
  step('txn -i', { stdin: '\n\n\n' }),
  step('txn', { stdin: '\nput t/a 11 --prev-kv\ndel t/b --prev-kv\n\n\n' }),
  step('txn -w json', { stdin: 'ver("t/a") < "100"\n\nput t/a 12\nget t/a\ndel t/zz\n\n\n' }),
  step('txn -w fields', { stdin: 'ver("t/a") > "0"\n\nput t/a 13\nget t/a\ndel t/a\n\n\n' }),
  step('txn -w json', { stdin: 'c("t/none") > "0"\n\n\nget t/ --prefix --limit=1\n\n' }),
  step('txn -w protobuf', { stdin: 'm("t/none") = "0"\n\nput t/p 1\n\n\n', decode: asText('Txn') }),
  step('txn -w json', { stdin: 'value("t/none") < "zzz"\n\n\n\n' }),
  step('txn', { stdin: '\nput t/a 1\nput t/a 2\n\n\n' }),
  step('txn', { stdin: '\nput t/a 1\ndel t/ --prefix\n\n\n' }),
  step('txn', { stdin: '\nput t/a 1 --lease=77\n\n\n' }),
  step('txn', { stdin: '\nget t/p --rev=100000\n\n\n' }),
  step('txn', { stdin: '\nput t/none --ignore-value\n\n\n' }),
  step('txn', { stdin: 'value(t/a = "1"\n\n\n\n' }),
  step('txn', { stdin: 'colour("t/a") = "1"\n\n\n\n' }),
  step('txn', { stdin: '\nfly t/a\n\n\n' }),
  step('txn extra'),
  step('get t/ --prefix -w json'),
];

/** The whole script. */
export const script: readonly Chapter[] = [
  { title: 'put', steps: putSteps },
  { title: 'get', steps: getSteps },
  { title: 'del', steps: delSteps },
  { title: 'txn', steps: txnSteps },
  { title: 'watch', steps: watchSteps },
  { title: 'lease', steps: leaseSteps },
  { title: 'maintenance', steps: maintenanceSteps },
  { title: 'lock and elect', steps: recipeSteps },
];
