/** `status`: one screen that says who is there, who leads, and whether all is well. */

import { sleep } from '../../../common/index.js';
import { type CommandContext, command, type ExitCode, exit, flag } from '../../command/index.js';
import { urlOf } from '../../connect/index.js';
import { formOf, jsonLine, painter, showLive } from '../../show/index.js';
import { type ClusterLook, isHealthy, lookAtCluster } from '../ask/index.js';
import { statusJson } from './status-json.js';
import { statusLines } from './status-lines.js';

export const statusCommand = command({
  name: 'status',
  short: 'Shows the whole cluster on one screen',
  long:
    'Shows the whole cluster on one screen: members, leader, lag, alarms, sizes, certificates and ' +
    'clocks.\nEvery member is asked at the same time. Ends with 0 if all is well, else with 1.',
  group: 'Commands that look',
  beyondEtcdctl: true,
  flags: {
    watch: flag.bool(false, 'go on, and show it again and again'),
    interval: flag.duration(2_000, 'time between two looks with --watch'),
    'member-timeout': flag.duration(2_000, 'time for the answer of a member'),
  },
  async run(context, _args, flags) {
    const form = formOf(context, 'status');
    const { io, pretty } = context;
    const look = await looker(context, flags['member-timeout']);
    const paint = painter(pretty);
    const text = (seen: ClusterLook, columns: number): string[] =>
      form === 'json' ? [jsonLine(statusJson(seen)).trimEnd()] : statusLines(seen, paint, columns);
    if (!flags.watch) {
      const seen = await look();
      await io.stdout(`${text(seen, columnsOf(context)).join('\n')}\n`);
      return healthCode(seen);
    }
    let seen: ClusterLook | undefined;
    if (io.keys !== undefined && pretty) {
      await showLive({
        ...{ io, keys: io.keys, intervalMs: flags.interval },
        look: async () => {
          seen = await look();
        },
        lines: ({ columns }) => (seen === undefined ? [] : text(seen, columns)),
        press: () => false,
      });
    } else {
      while (!io.interrupted.aborted) {
        seen = await look();
        const last = form === 'json' ? '' : '\n';
        await io.stdout(`${text(seen, columnsOf(context)).join('\n')}\n${last}`);
        await sleep(io.clock, flags.interval, io.interrupted);
      }
    }
    return seen === undefined ? exit.error : healthCode(seen);
  },
});

function healthCode(seen: ClusterLook): ExitCode {
  return isHealthy(seen) ? exit.ok : exit.error;
}

/** Where nobody looks nothing is left out for want of room. */
function columnsOf({ io, pretty }: CommandContext): number {
  return pretty ? io.terminal.columns : Number.POSITIVE_INFINITY;
}

/** Looks at the cluster of the line. */
async function looker(
  context: CommandContext,
  timeoutMs: number,
): Promise<() => Promise<ClusterLook>> {
  const client = await context.client();
  const endpoints = context.global.endpoints.map((one) => urlOf(one, context.global));
  const signal = context.io.interrupted;
  return () => lookAtCluster({ client, endpoints, timeoutMs, signal });
}
