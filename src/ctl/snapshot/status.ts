/** `snapshot status`: what is in a file, as etcdutl says it. */

import { emptyBytes } from '../../common/index.js';
import { bytesText, CommandError, command, exit } from '../command/index.js';
import { fieldLine, print, unsupported } from '../print/index.js';

export const status = command({
  name: 'status',
  usage: '<filename>',
  short: 'Says what is in a snapshot, and that it can be read',
  long:
    'Reads the whole snapshot, and says what is in it. In the format simple the line is: hash,\n' +
    'revision, keys, size, version of the storage. As etcdutl snapshot status.',
  beyondEtcdctl: true,
  offline: true,
  async run(context, args) {
    const [path] = args;
    if (path === undefined || args.length !== 1) {
      const message = 'snapshot status requires exactly one argument';
      throw new CommandError(message, exit.badArguments);
    }
    const { snapshots } = context.io;
    if (snapshots === undefined) throw new CommandError('no snapshots can be read here');
    const { hash, revision, totalKey, totalSize, version } = await snapshots.status(path);
    const header = ['hash', 'revision', 'total keys', 'total size', 'version'];
    const row = [
      ...[hash.toString(16), String(revision), String(totalKey), bytesText(totalSize), version],
    ];
    await print(context, {
      type: '',
      bytes: emptyBytes,
      simple: () => `${row.join(', ')}\n`,
      table: () => ({ header, rows: [row] }),
      json: () => ({ hash, revision, totalKey, totalSize, version }),
      fields: () =>
        [
          fieldLine('Hash', hash),
          fieldLine('Revision', revision),
          fieldLine('Keys', totalKey),
          fieldLine('Size', totalSize),
          `"Version" : ${version}\n`,
        ].join(''),
      protobuf: () => {
        throw unsupported('protobuf');
      },
    });
    return undefined;
  },
});
