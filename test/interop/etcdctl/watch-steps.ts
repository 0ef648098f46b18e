/** The watch chapter: history only, so that nothing depends on when a watch was established. */

import type { EtcdctlStep } from '../../helpers/etcdctl.js';
import { step } from './step.js';

// The history that is watched, put first; <w> is the revision of its first event.
const history: readonly EtcdctlStep[] = [
  step('put w/a 1 -w json', { capture: { name: 'w', from: /"revision":(\d+)/ } }),
  step('put w/b 2'),
  step('put w/a 3'),
  step('del w/b'),
  step('put other x'),
  { args: ['txn'], stdin: '\nput w/c 4\nput w/d 5\ndel w/a\n\n\n' },
  step('put w/end -- end'),
];

/**
 * Ends a watch when the put of w/end was printed. etcdctl writes line by line, so each of these
 * patterns must ask for the very last line: the key, too, ends in "end".
 */
const toEnd = /\nw\/end\nend\n|"dy9lbmQ=".*\n/;

export const watchSteps: readonly EtcdctlStep[] = [
  ...history,
  step('watch w/ --prefix --rev=<w>', { until: toEnd }),
  step('watch w/ --prefix --rev=<w> --prev-kv', { until: toEnd }),
  step('watch w/ --prefix --rev=<w> -w json', { until: toEnd }),
  step('watch w/ --prefix --rev=<w> --prev-kv -w json', { until: toEnd }),
  step('watch w/ --prefix --rev=<w> -w fields', { until: /"Key" : "w\/end"[\s\S]*"Lease" : .*\n/ }),
  step('watch w/ --prefix --rev=<w> --hex', { until: /\n\\x65\\x6e\\x64\n/ }),
  step('watch w/a --rev=<w> --prev-kv', { until: /DELETE\nw\/a\n3\nw\/a\n\n/ }),
  step('watch w/a w/c --rev=<w>', { until: /DELETE\nw\/b\n\n[\s\S]*DELETE\nw\/a\n\n/ }),
  step('watch -i', {
    stdin: 'watch w/ --prefix --rev=<w>\n',
    holdStdin: true,
    until: toEnd,
  }),
  step('watch -i', {
    stdin: 'watch w/end --rev=<w>\n',
    // Asked for only when the watcher has caught up: before that a server may stay silent.
    stdinAfter: { pattern: /\nend\n/, text: 'progress\n' },
    holdStdin: true,
    until: /progress notify: \d+\n/,
  }),
  // Several keys in one session. Their lines mix as they like, so they are counted.
  step('watch -i', {
    stdin: 'watch w/b --rev=<w> --prev-kv\nwatch w/end --rev=<w>\n',
    holdStdin: true,
    unordered: true,
    until: /^(.*\n){11}/,
  }),
  {
    args: [
      ...['watch', 'w/c', '--rev=<w>', '--', 'sh', '-c'],
      'env | grep ^ETCD_WATCH | sort; echo ran',
    ],
    until: /ran\n/,
  },
  step('watch'),
  step('watch w/b w/a'),
  step('watch -i', { stdin: 'wetch foo\n' }),
  step('watch -i', { stdin: 'watch\n' }),
];
