/** `import`: puts what `export` has written. */

import { type CommandContext, CommandError, command, exit, flag } from '../command/index.js';
import { progress } from '../progress/index.js';
import { goesAlone, type Mode, type NewKey, putBatch } from './import-batch.js';
import { txnBytesMax, txnKeysMax } from './limits.js';
import { linesOf } from './lines.js';
import { NewLeases } from './new-leases.js';
import { type ImportedKey, importedKey } from './record.js';
import { interruptedError, Store } from './store.js';
import { counted, keyText, wantsJson } from './text.js';

export const importCommand = command({
  name: 'import',
  usage: '[options] < file',
  short: 'Puts the keys of an export, which it reads from stdin',
  long:
    'Puts the keys of an export, which it reads from stdin, in transactions of up to 100 keys. A key\n' +
    'that is there with the same value is left as it is, so that the same import again does what is\n' +
    'left. One that is there with another value ends the import, unless --if-absent leaves or\n' +
    '--overwrite puts it. Keys of a lease get a new one of the same TTL; those whose lease had ended\n' +
    'when they were exported are left out.',
  group: 'Key-value commands',
  beyondEtcdctl: true,
  flags: {
    'if-absent': flag.bool(false, 'leave keys that are there'),
    overwrite: flag.bool(false, 'put also keys that are there with another value'),
    'dry-run': flag.bool(false, 'say what would be put, and put nothing'),
    'skip-lines': flag.int(0, 'leave out so many lines at the beginning'),
    'without-leases': flag.bool(false, 'put all keys without a lease'),
  },
  async run(context, args, flags) {
    const json = wantsJson(context);
    if (args.length > 0) throw new CommandError(`import reads stdin: import < ${args[0]}`);
    if (flags['if-absent'] && flags.overwrite) {
      throw new CommandError('--if-absent and --overwrite are two ways; give one');
    }
    const store = await Store.of(context);
    const run = new ImportRun(context, store, {
      mode: flags.overwrite ? 'overwrite' : flags['if-absent'] ? 'ifAbsent' : 'new',
      dryRun: flags['dry-run'],
      withoutLeases: flags['without-leases'],
      skipLines: flags['skip-lines'],
    });
    const counts = await run.go();
    const { put, same, other, ended, lines } = counts;
    const { io } = context;
    if (json) {
      await io.stdout(`${JSON.stringify({ dryRun: flags['dry-run'], ...counts })}\n`);
    } else {
      const verb = flags['dry-run'] ? 'would be put' : 'put';
      const left = `${same} were there already, ${other} left as they are`;
      await io.stdout(`${counted(put, 'key')} ${verb}, ${left} (${counted(lines, 'line')})\n`);
    }
    if (ended > 0) io.stderr(`${counted(ended, 'key')} left out: the lease had ended\n`);
    if (run.leases.used > 0) {
      const many = counted(run.leases.used, 'new lease');
      io.stderr(`${many}: these keys go with them, unless somebody keeps them alive\n`);
    }
    return exit.ok;
  },
});

interface ImportOptions {
  readonly mode: Mode;
  readonly dryRun: boolean;
  readonly withoutLeases: boolean;
  readonly skipLines: number;
}

/** One import from its first line to its last. */
class ImportRun {
  readonly leases: NewLeases;
  readonly #context: CommandContext;
  readonly #store: Store;
  readonly #options: ImportOptions;
  readonly #counts = { put: 0, same: 0, other: 0, ended: 0, lines: 0 };
  #batch = new Map<string, NewKey>();
  #batchBytes = 0;
  /** Of the line read last. */
  #line = 0;

  constructor(context: CommandContext, store: Store, options: ImportOptions) {
    this.#context = context;
    this.#store = store;
    this.#options = options;
    this.leases = new NewLeases(store);
  }

  async go(): Promise<Readonly<Record<'put' | 'same' | 'other' | 'ended' | 'lines', number>>> {
    const { io } = this.#context;
    const shown = progress(io, { title: 'importing', unit: 'keys' });
    try {
      for await (const line of linesOf(io.stdin, io.interrupted)) {
        this.#line += 1;
        if (this.#line <= this.#options.skipLines || line.toString('latin1').trim() === '')
          continue;
        if (io.interrupted.aborted) throw interruptedError();
        await this.#add(importedKey(line, this.#line));
        shown.set(this.#line);
      }
      await this.#flush();
      this.#counts.lines = this.#line;
    } catch (error) {
      shown.end();
      const done = this.#counts.lines;
      const on = `the same import again, or with --skip-lines ${done}, goes on`;
      io.stderr(`${counted(done, 'line')} imported; ${on}\n`);
      throw error;
    } finally {
      shown.end();
      if (!this.#options.dryRun) await this.leases.tidy();
    }
    return this.#counts;
  }

  async #add({ key, value, lease: id, ttlSeconds }: ImportedKey): Promise<void> {
    const { withoutLeases, dryRun } = this.#options;
    const leased = id !== undefined && !withoutLeases;
    if (leased && ttlSeconds === 0) {
      this.#counts.ended += 1;
      return;
    }
    const size = 2 * (key.length + value.length);
    const isFull = this.#batch.size >= txnKeysMax || this.#batchBytes + size > txnBytesMax;
    // A transaction puts no key twice.
    if (isFull || this.#batch.has(key)) await this.#flush(this.#line - 1);
    const lease = leased && !dryRun ? await this.leases.leaseFor(id, ttlSeconds) : 0n;
    const one = { key, value, lease };
    if (goesAlone(one)) await this.#flush(this.#line - 1);
    this.#batch.set(key, one);
    this.#batchBytes += size;
    if (goesAlone(one)) await this.#flush();
  }

  /** Puts what was gathered, which are the lines up to this one. */
  async #flush(line = this.#line): Promise<void> {
    const keys = [...this.#batch.values()];
    this.#batch = new Map();
    this.#batchBytes = 0;
    const { mode, dryRun } = this.#options;
    const results = keys.length === 0 ? [] : await putBatch(this.#store, mode, keys, dryRun);
    let conflict: NewKey | undefined;
    for (const [i, result] of results.entries()) {
      const one = keys[i] as NewKey;
      this.#counts[result] += 1;
      if (result === 'put') this.leases.use(one.lease);
      if (result === 'other') conflict ??= one;
    }
    if (conflict !== undefined && mode === 'new' && !dryRun) {
      const ways = '--overwrite puts it, --if-absent leaves it';
      throw new CommandError(`${keyText(conflict.key)} is there with another value; ${ways}`);
    }
    this.#counts.lines = Math.max(this.#counts.lines, line);
  }
}
