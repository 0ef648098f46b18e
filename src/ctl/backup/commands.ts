/** `kvorum backup` and what belongs to it. */

import { BackupReader, hex8, noRetention, toRemove } from '../../backup/index.js';
import { type CommandContext, CommandError, command, exit, flag } from '../command/index.js';
import { atPlace, chosen, type Place, placeFlags } from './place.js';
import { backupJson, backupTable, bytesText, printResult } from './shown-backup.js';
import { takeBackup } from './take.js';

const group = 'Backups';
const oneFlag = { backup: flag.string('', 'its name; the newest if left out') } as const;

const list = command({
  name: 'list',
  usage: '<directory or s3://bucket/prefix>',
  short: 'Lists the backups, and says what is damaged',
  beyondEtcdctl: true,
  flags: placeFlags,
  run: (context, args, flags) =>
    atPlace(context, args, flags, async (place) => {
      const { backups, broken } = await place.catalog();
      const missing = backups.flatMap((backup) => backup.missing);
      for (const name of missing) context.io.stderr(`a file of a backup is missing: ${name}\n`);
      for (const { error } of broken) context.io.stderr(`${error.message}\n`);
      const text = backups.length === 0 ? '' : backupTable(backups);
      await printResult(context, text, backups.map(backupJson));
      return broken.length + missing.length > 0 ? exit.error : exit.ok;
    }),
});

const verify = command({
  name: 'verify',
  usage: '<directory or s3://bucket/prefix>',
  short: 'Reads all files of a backup, or of all, and compares their hashes',
  beyondEtcdctl: true,
  flags: { ...placeFlags, ...oneFlag, all: flag.bool(false, 'all backups, not only the newest') },
  run: (context, args, flags) =>
    atPlace(context, args, flags, async (place) => {
      const catalog = await place.catalog();
      const some = flags.all ? catalog.backups : [chosen(catalog, flags.backup, place)];
      let isWell = !flags.all || catalog.broken.length === 0;
      if (flags.all)
        for (const { error } of catalog.broken) context.io.stderr(`${error.message}\n`);
      for (const backup of some) {
        let files = 0;
        let bytes = 0;
        const { chain, newest } = backup.manifest;
        try {
          await new BackupReader(place.target, backup, place.key).verify((file) => {
            context.io.interrupted.throwIfAborted();
            files += 1;
            bytes += file.bytes;
          });
        } catch (error) {
          if (!flags.all) throw error;
          context.io.stderr(`${error instanceof Error ? error.message : String(error)}\n`);
          isWell = false;
          continue;
        }
        const text = `${chain}: ${files} files, ${bytesText(bytes)}, up to revision ${newest.revision}: well\n`;
        await printResult(context, text, backupJson(backup));
      }
      return isWell ? exit.ok : exit.error;
    }),
});

const drill = command({
  name: 'drill',
  usage: '<directory or s3://bucket/prefix>',
  short: 'Restores a backup into a directory that goes again: proves that it can be',
  beyondEtcdctl: true,
  flags: {
    ...placeFlags,
    ...oneFlag,
    'work-dir': flag.string('', 'where the directory is made; TMPDIR or /tmp if left out'),
  },
  run: (context, args, flags) =>
    atPlace(context, args, flags, (place) => runDrill(context, place, flags)),
});

async function runDrill(
  context: CommandContext,
  place: Place,
  flags: { readonly backup: string; readonly 'work-dir': string },
): Promise<undefined> {
  const { io } = context;
  const { key, machine, target } = place;
  const backup = chosen(await place.catalog(), flags.backup, place);
  const above = flags['work-dir'] || io.env.TMPDIR || '/tmp';
  const directory = `${above}/kvorum-drill-${hex8(machine.random.u32())}`;
  const startMs = io.clock.nowMs();
  const report = await machine.drill({ target, backup, key, directory });
  const seconds = (io.clock.nowMs() - startMs) / 1000;
  const hash = report.isHashVerified ? 'its hash is that of the cluster' : 'no hash to compare';
  const text =
    `${backup.manifest.chain}: restored to revision ${report.revision} in ${seconds.toFixed(1)} s: ` +
    `${report.records} revisions of keys, ${report.leases} leases, ${report.users} users; ${hash}\n`;
  await printResult(context, text, { backup: backup.manifest.chain, ...report, seconds });
  return undefined;
}

const prune = command({
  name: 'prune',
  usage: '<directory or s3://bucket/prefix>',
  short: 'Removes old backups; says which, and does so with --yes',
  beyondEtcdctl: true,
  flags: {
    ...placeFlags,
    'keep-last': flag.int(0, 'backups that stay, the newest'),
    'keep-hourly': flag.int(0, 'hours of which the newest stays'),
    'keep-daily': flag.int(0, 'days of which the newest stays'),
    'keep-weekly': flag.int(0, 'weeks of which the newest stays'),
    'keep-monthly': flag.int(0, 'months of which the newest stays'),
    cluster: flag.string('', 'only those of the cluster with this id, in hexadecimal'),
    yes: flag.bool(false, 'remove them'),
  },
  run: (context, args, flags) =>
    atPlace(context, args, flags, async (place) => {
      const { backups } = await place.catalog();
      const retention = {
        ...noRetention,
        ...{ last: flags['keep-last'], hourly: flags['keep-hourly'] },
        ...{ daily: flags['keep-daily'], weekly: flags['keep-weekly'] },
        monthly: flags['keep-monthly'],
      };
      if (!Object.values(retention).some((count) => count > 0)) {
        throw new CommandError('say what stays, with --keep-last and the like', exit.badArguments);
      }
      // Of each cluster by itself: one that has not been backed up for long keeps its last.
      const clusters = new Set(backups.map(({ manifest }) => manifest.clusterId));
      const old = [...clusters]
        .filter((id) => flags.cluster === '' || id === flags.cluster)
        .flatMap((id) =>
          toRemove(
            backups.filter((one) => one.manifest.clusterId === id),
            retention,
          ),
        );
      for (const backup of old) {
        context.io.interrupted.throwIfAborted();
        if (flags.yes) await place.writer.remove(backup);
      }
      const verb = flags.yes ? 'removed' : 'would remove';
      const lines = old.map(({ manifest }) => `${verb} ${manifest.chain}\n`);
      const rest = `${backups.length - old.length} stay${flags.yes ? '' : '; --yes removes the others'}\n`;
      const removed = old.map(({ manifest }) => manifest.chain);
      await printResult(context, `${lines.join('')}${rest}`, { removed, done: flags.yes });
      return undefined;
    }),
});

export const backupCommands = [
  command({
    name: 'backup',
    usage: '<directory or s3://bucket/prefix>',
    short: 'Backs the cluster up, whole or what has changed since the newest backup',
    long: 'Backs the cluster up, into a directory or S3; see docs/backup.md.',
    group,
    beyondEtcdctl: true,
    flags: {
      ...placeFlags,
      incremental: flag.bool(
        false,
        'only what has changed, where the newest backup can be continued',
      ),
    },
    commands: [list, verify, drill, prune],
    run: (context, args, flags) =>
      atPlace(context, args, flags, async (place) => {
        await takeBackup(context, place, flags.incremental);
        return undefined;
      }),
  }),
];
