/** `rollback`: takes all keys below a prefix back to what they were at an older revision. */

import { type CommandContext, CommandError, command, exit, flag } from '../command/index.js';
import { confirm, yesFlag } from '../confirm/index.js';
import { paintOf } from '../print/index.js';
import { progress } from '../progress/index.js';
import { Leases } from './leases.js';
import { planKeysMax, txnKeysMax } from './limits.js';
import { batchesOf, type Route, type Step, stepsOf, take } from './rollback-steps.js';
import { keyOf, spanOfPrefix } from './span.js';
import { Store } from './store.js';
import { counted, keyField, keyText, revisionOf, wantsJson } from './text.js';

/** Keys by what becomes of them. */
type Counts = Record<Step['kind'], number>;

const again = 'the same command again does what is left';

export const rollbackCommand = command({
  name: 'rollback',
  usage: '[options] <prefix>',
  short: 'Takes all keys below a prefix back to an older revision',
  long:
    'Takes all keys below a prefix back to what they were at --to-rev: puts what was changed or\n' +
    'deleted since, deletes what was added since. Says first what it will do, and asks. It is done in\n' +
    'transactions of up to 100 keys, each of them only if nobody has changed these keys meanwhile;\n' +
    'after an interruption the same command does what is left.',
  group: 'Key-value commands',
  beyondEtcdctl: true,
  flags: {
    'to-rev': flag.int64(0n, 'the revision to go back to'),
    'without-leases': flag.bool(
      false,
      'bring back keys whose lease has ended, as keys without a lease; else they stay as they are',
    ),
    'dry-run': flag.bool(false, 'say what would be done, and do nothing'),
    yes: yesFlag,
  },
  async run(context, args, flags, isSet) {
    const json = wantsJson(context);
    const [text] = args;
    if (text === undefined || args.length > 1) {
      throw new CommandError("rollback takes one prefix; '' means all keys");
    }
    if (!isSet.has('to-rev') || flags['to-rev'] <= 0n) {
      throw new CommandError('rollback needs --to-rev');
    }
    const prefix = keyOf(text);
    const span = spanOfPrefix(prefix);
    const store = await Store.of(context);
    const toRevision = revisionOf('to-rev', flags['to-rev']);
    const atRevision = await store.revision(span);
    const route: Route = { span, toRevision, atRevision, withoutLeases: flags['without-leases'] };
    const leases = new Leases(store);
    const plan = await planOf(context, store, leases, route);
    const steps = plan.deleted + plan.restored + plan.changed;
    const dryRun = flags['dry-run'] || steps === 0;
    if (!json || !flags.yes) tell(context, prefix, route, plan);
    if (!dryRun) {
      const what = `This changes ${counted(steps, 'key')} below ${prefixText(prefix)}.`;
      await confirm(context.io, what, flags.yes);
    }
    const conflicts = dryRun ? 0 : await go(context, store, leases, { route, plan, steps });
    if (json) {
      const { deleted, restored, changed, leaseEnded } = plan;
      const done = {
        ...keyField('prefix', prefix),
        toRevision,
        atRevision,
        dryRun: flags['dry-run'],
      };
      const counts = { changed, restored, deleted, leaseEnded, conflicts };
      await context.io.stdout(`${JSON.stringify({ ...done, ...counts })}\n`);
    } else if (!dryRun) {
      const left = steps - conflicts;
      await context.io.stdout(`${counted(left, 'key')} of ${prefixText(prefix)} taken back\n`);
    }
    if (conflicts === 0) return exit.ok;
    const who = `${counted(conflicts, 'key')} changed by others meanwhile`;
    context.io.stderr(`${who}, and left as they are; ${again}\n`);
    return exit.error;
  },
});

function prefixText(prefix: string): string {
  return prefix === '' ? 'the whole store' : keyText(prefix);
}

interface Plan extends Counts {
  readonly first: readonly Step[];
}

async function planOf(
  { io }: CommandContext,
  store: Store,
  leases: Leases,
  route: Route,
): Promise<Plan> {
  const counts: Counts = { deleted: 0, restored: 0, changed: 0, leaseEnded: 0 };
  const first: Step[] = [];
  const shown = progress(io, { title: 'comparing', unit: 'keys' });
  try {
    for await (const step of stepsOf(store, leases, route, (keys) => shown.advance(keys))) {
      counts[step.kind] += 1;
      // Without its value: it is only shown.
      if (first.length < planKeysMax) first.push({ ...step, put: undefined });
    }
  } finally {
    shown.end();
  }
  return { ...counts, first };
}

const words: Readonly<Record<Step['kind'], string>> = {
  changed: 'put as it was',
  restored: 'put again',
  deleted: 'deleted',
  leaseEnded: 'left: its lease has ended',
};

function tell(context: CommandContext, prefix: string, route: Route, plan: Plan): void {
  const { stderr } = context.io;
  const { changed, restored, deleted, leaseEnded } = plan;
  const paint = paintOf(context);
  const all = changed + restored + deleted + leaseEnded;
  const from = `from revision ${route.atRevision} to ${route.toRevision}`;
  stderr(`${prefixText(prefix)} ${from}:\n`);
  for (const { key, kind } of plan.first) {
    const colour = kind === 'deleted' ? paint.red : paint.green;
    stderr(`  ${colour(words[kind])}  ${keyText(key)}\n`);
  }
  if (all > plan.first.length) stderr(`  … and ${all - plan.first.length} more\n`);
  const counts = `${changed} put as they were, ${restored} put again, ${deleted} deleted`;
  stderr(all === 0 ? '  nothing differs\n' : `  in all: ${counts}\n`);
  if (leaseEnded > 0) {
    const hint = 'they stay as they are (--without-leases brings them back without one)';
    stderr(`  ${counted(leaseEnded, 'key')} of leases that have ended: ${hint}\n`);
  }
  if (changed + restored + deleted > txnKeysMax) {
    stderr(
      `  in transactions of up to ${txnKeysMax} keys: others see some of them before the rest\n`,
    );
  }
}

/** Resolves with how many keys others have changed meanwhile. */
async function go(
  context: CommandContext,
  store: Store,
  leases: Leases,
  { route, plan, steps }: { readonly route: Route; readonly plan: Plan; readonly steps: number },
): Promise<number> {
  let conflicts = 0;
  let done = 0;
  const shown = progress(context.io, { title: 'going back', unit: 'keys', total: steps });
  try {
    for await (const batch of batchesOf(stepsOf(store, leases, route))) {
      const taken = await take(store, leases, batch);
      conflicts += taken.conflicts.length;
      plan.leaseEnded += taken.ended.length;
      done += taken.done.length;
      shown.advance(batch.length);
    }
    return conflicts;
  } catch (error) {
    const so = `${counted(done, 'key')} of ${steps} are taken back`;
    context.io.stderr(`${so}; ${again}\n`);
    throw error;
  } finally {
    shown.end();
  }
}
