/** `snapshot restore`: `kvorum restore` under the name that etcdutl has for it. */

import { CommandError, command, flag } from '../command/index.js';

const flags = {
  'data-dir': flag.string('', 'the directory to make; it must not exist, or be empty'),
  'wal-dir': flag.string('', 'a directory of its own for the log'),
  name: flag.string('default', 'the name of this member'),
  'initial-cluster': flag.string('', 'all members of the new cluster: name=url,...'),
  'initial-cluster-token': flag.string('etcd-cluster', 'keeps clusters apart'),
  'initial-advertise-peer-urls': flag.string(
    'http://localhost:2380',
    'where the others reach this member',
  ),
  'skip-hash-check': flag.bool(false, 'do not check the hash at the end of the file'),
  'bump-revision': flag.uint64(0n, 'raise the revision by so much; needs --mark-compacted'),
  'mark-compacted': flag.bool(false, 'count all up to the raised revision as compacted'),
};

export const restore = command({
  name: 'restore',
  usage: '<filename> --data-dir DIR',
  short: 'Makes a data directory of a snapshot, for a member of a new cluster',
  beyondEtcdctl: true,
  offline: true,
  flags,
  async run({ io }, args, values, isSet) {
    if (io.snapshots === undefined) throw new CommandError('nothing can be restored here');
    const given = Object.entries(values)
      .filter(([name]) => Object.hasOwn(flags, name) && isSet.has(name))
      .map(([name, value]) => `--${name}=${String(value)}`);
    return await io.snapshots.restore([...given, ...args]);
  },
});
