/** `diagnose`: collects what somebody asks for who is to help, says what is wrong and what to do. */

import { sleep } from '../../../common/index.js';
import { type CommandContext, CommandError, command, exit, flag } from '../../command/index.js';
import { urlOf } from '../../connect/index.js';
import { formOf, jsonLine, painter } from '../../show/index.js';
import { lookAtCluster } from '../ask/index.js';
import type { Evidence } from './finding.js';
import { findingsOf } from './findings.js';
import { type ReportFile, reportFiles } from './report-files.js';
import { reportLines } from './report-lines.js';
import { slowLinesOf } from './slow-log.js';

export const diagnoseCommand = command({
  name: 'diagnose',
  short: 'Says what is wrong with the cluster, and what to do',
  long:
    'Looks at all members twice, says what is wrong, the worst first, and what to do.\n' +
    'Ends with 0 if nothing is critical, else with 1. docs/look.md has all findings.',
  group: 'Commands that look',
  beyondEtcdctl: true,
  flags: {
    interval: flag.duration(2_000, 'time between the two looks'),
    log: flag.strings([], 'log files of members, looked through for what was slow'),
    output: flag.string('', 'write all of it to this new folder, or to FILE.tar.gz', {
      short: 'o',
    }),
    'member-timeout': flag.duration(5_000, 'time for the answer of a member'),
  },
  async run(context, _args, flags) {
    const form = formOf(context, 'diagnose');
    const { io, pretty } = context;
    const client = await context.client();
    const endpoints = context.global.endpoints.map((one) => urlOf(one, context.global));
    const asked = {
      ...{ client, endpoints, timeoutMs: flags['member-timeout'] },
      signal: io.interrupted,
    };
    const before = await lookAtCluster(asked);
    await sleep(io.clock, flags.interval, io.interrupted);
    if (io.interrupted.aborted) return exit.interrupted;
    const now = await lookAtCluster(asked);
    const logs = await Promise.all(flags.log.map((path) => readLog(context, path)));
    const evidence: Evidence = { now, before, slowLines: logs.flatMap(slowLinesOf) };
    const findings = findingsOf(evidence);
    const plain = reportLines(now, findings, painter(false), Number.POSITIVE_INFINITY);
    if (flags.output !== '') {
      await write(context, flags.output, reportFiles(evidence, findings, plain));
    }
    const columns = pretty ? io.terminal.columns : Number.POSITIVE_INFINITY;
    await io.stdout(
      form === 'json'
        ? jsonLine({ takenAt: new Date(now.takenMs).toISOString(), findings })
        : `${reportLines(now, findings, painter(pretty), columns).join('\n')}\n`,
    );
    if (flags.output !== '') io.stderr(`all of it is in ${flags.output}\n`);
    return findings.some(({ weight }) => weight === 'critical') ? exit.error : exit.ok;
  },
});

async function readLog({ io }: CommandContext, path: string): Promise<Uint8Array> {
  try {
    return await io.readFile(path);
  } catch (error) {
    throw new CommandError(`--log ${path}: ${reasonOf(error)}`, exit.io);
  }
}

async function write(
  { io }: CommandContext,
  path: string,
  files: readonly ReportFile[],
): Promise<void> {
  if (io.writeNew === undefined) throw new CommandError('nothing can be written here', exit.io);
  try {
    if (/\.(tar\.gz|tgz)$/.test(path)) {
      const { createTarGzip } = await import('nanotar');
      const data = await createTarGzip(
        files.map(({ name, text }) => ({ name: `kvorum-diagnose/${name}`, data: text })),
      );
      await io.writeNew(path, data);
      return;
    }
    for (const { name, text } of files) await io.writeNew(`${path}/${name}`, Buffer.from(text));
  } catch (error) {
    throw new CommandError(`--output ${path}: ${reasonOf(error)}`, exit.io);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
