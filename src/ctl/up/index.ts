/** `up`: a cluster on this machine. What starts processes is in src/cli/up. */

import { CommandError, command, exit, flag } from '../command/index.js';

/** More are no help on one machine. */
const nodesMax = 9;
const portMax = 65_000;

export const upCommands = [
  command({
    name: 'up',
    usage: '[options] [-- flags of members]',
    short: 'Starts a cluster on this machine, to try things and to break it',
    long:
      'Starts members as processes of their own on this machine, and says where they are.\n' +
      'Then, by keys on a terminal and else by lines on stdin: k kill a member (kill -9), p pause it, ' +
      'x cut it off,\nr bring it back, l kill the leader and measure until a write succeeds again, ' +
      's show who is there, q quit.',
    group: 'Commands that look',
    beyondEtcdctl: true,
    flags: {
      nodes: flag.int(3, `members, up to ${nodesMax}`),
      'data-dir': flag.string('', 'where data and logs stay; else they go with the cluster'),
      'base-port': flag.int(0, 'ports from there on, 10 apart; 0: 2379, 22379, 32379, ...'),
      logs: flag.bool(false, 'show what members log; it is in files in any case'),
      wires: flag.bool(
        true,
        'members reach each other through this process, so that x can cut them off',
      ),
    },
    async run({ io }, args, flags) {
      const { nodes, logs, wires, 'base-port': basePort, 'data-dir': dataDir } = flags;
      if (nodes < 1 || nodes > nodesMax) {
        throw new CommandError(`--nodes must be from 1 to ${nodesMax}`, exit.badArguments);
      }
      if (basePort < 0 || basePort > portMax) {
        throw new CommandError(`--base-port must be from 0 to ${portMax}`, exit.badArguments);
      }
      const [first] = args;
      if (first !== undefined && !first.startsWith('-')) {
        throw new CommandError(
          `up takes flags of members after --, not ${first}`,
          exit.badArguments,
        );
      }
      if (io.runLocalCluster === undefined) throw new CommandError('no programs are started here');
      return await io.runLocalCluster(
        {
          ...{ nodes, logs, wires, flags: args },
          dataDir: dataDir === '' ? undefined : dataDir,
          basePort: basePort === 0 ? undefined : basePort,
        },
        io,
      );
    },
  }),
];
