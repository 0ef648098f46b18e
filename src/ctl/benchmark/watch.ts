/** `bench watch`, `bench watch-latency`: from a put to the event at each watcher. */

import { onAbort, sleep, untilOrAfter } from '../../common/index.js';
import { CommandError, command, exit, flag } from '../command/index.js';
import { Outcome, runLoad } from './load.js';
import { keysOf, put } from './requests.js';
import { type Bench, keyFlags, type Part, runParts, sharedFlags } from './run.js';
import { openWatchers, type WatcherEvents, type WatcherPlan } from './watch-streams.js';

/** After the last put; only for what never comes. */
const eventsWaitMs = 30_000;

interface WatchPlan extends WatcherPlan {
  readonly keys: number;
  readonly puts: number;
  readonly putsPerSecond: number;
  readonly valueBytes: number;
  /** Number of a put -> its key. */
  readonly putKeyOf: (put: number) => string;
}

export const watchBench = command({
  name: 'watch',
  short: 'Creates many watchers, and puts what they watch',
  beyondEtcdctl: true,
  flags: {
    ...sharedFlags,
    ...keyFlags,
    'key-size': flag.int(32, 'bytes of a key after its prefix'),
    streams: flag.int(10, 'streams of watchers'),
    'watch-per-stream': flag.int(100, 'watchers on each stream'),
    'watched-key-total': flag.int(1, 'keys that are watched'),
    'put-rate': flag.int(0, 'puts a second, 0: as fast as they are answered'),
    'put-total': flag.int(1_000, 'puts'),
    'sequential-keys': flag.bool(false, 'keys in order instead of all over'),
  },
  run(context, _args, flags) {
    const keys = flags['watched-key-total'];
    const space = Math.max(keys, flags['key-space-size']);
    const named = keysOf({ ...flags, 'key-space-size': space }, flags['sequential-keys']);
    const plan: WatchPlan = {
      ...{ streams: flags.streams, perStream: flags['watch-per-stream'], prevKv: false },
      ...{ keys, puts: flags['put-total'], putsPerSecond: flags['put-rate'], valueBytes: 32 },
      keyOf: (watcher) => named(watcher % keys),
      putKeyOf: (number) => named(number % keys),
    };
    return runParts(context, flags, partsOf(plan, true));
  },
});

export const watchLatencyBench = command({
  name: 'watch-latency',
  short: 'Measures how long events take to many watchers of one key for each stream',
  beyondEtcdctl: true,
  flags: {
    ...sharedFlags,
    ...keyFlags,
    'key-size': flag.int(32, 'bytes of a key after its prefix'),
    'val-size': flag.int(32, 'bytes of a value'),
    streams: flag.int(10, 'streams of watchers'),
    'watchers-per-stream': flag.int(10, 'watchers on each stream'),
    prevkv: flag.bool(false, 'ask for what was there before as well'),
    'put-total': flag.int(1_000, 'puts'),
    'put-rate': flag.int(100, 'puts a second, 0: as fast as they are answered'),
  },
  run(context, _args, flags) {
    const perStream = flags['watchers-per-stream'];
    const named = keysOf({ ...flags, 'key-space-size': Math.max(1, flags.streams) }, true);
    const plan: WatchPlan = {
      ...{ streams: flags.streams, perStream, prevKv: flags.prevkv, keys: flags.streams },
      ...{ puts: flags['put-total'], putsPerSecond: flags['put-rate'] },
      valueBytes: flags['val-size'],
      keyOf: (watcher) => named(Math.floor(watcher / perStream)),
      putKeyOf: (number) => named(number % flags.streams),
    };
    return runParts(context, flags, partsOf(plan, false));
  },
});

/** Creating them, and the events to them. The watchers of the first part are those of the second. */
function partsOf(plan: WatchPlan, tellsCreation: boolean): readonly Part[] {
  const watchers = plan.streams * plan.perStream;
  if (watchers < 1 || plan.keys < 1) {
    throw new CommandError('there must be a stream, a watcher and a key', exit.badArguments);
  }
  const perKey = new Map<string, number>();
  for (let i = 0; i < watchers; i += 1) {
    const key = plan.keyOf(i);
    perKey.set(key, (perKey.get(key) ?? 0) + 1);
  }
  let expected = 0;
  for (let i = 0; i < plan.puts; i += 1) expected += perKey.get(plan.putKeyOf(i)) ?? 0;
  const group = new Watchers(plan);
  const create: Part = {
    ...{ title: 'watch creation', total: watchers },
    run: (bench, outcome) => group.create(bench, outcome),
  };
  const follow: Part = {
    ...{ title: 'events', total: expected },
    run: async (bench, outcome) => {
      try {
        // What it took to create them is nobody's event.
        if (!tellsCreation)
          await group.create(bench, new Outcome(bench.context.io.clock, watchers));
        await group.follow(bench, outcome);
      } finally {
        group.close();
      }
    },
  };
  return tellsCreation ? [create, follow] : [follow];
}

/** The watchers through both parts. */
class Watchers {
  readonly #plan: WatchPlan;
  readonly #putMs: Float64Array;
  #close = (): void => undefined;
  #event: (value: Buffer) => void = () => undefined;
  #failed: (error: Error) => void = () => undefined;

  constructor(plan: WatchPlan) {
    this.#plan = plan;
    this.#putMs = new Float64Array(plan.puts);
  }

  close(): void {
    this.#close();
  }

  async create({ connections, context, signal }: Bench, outcome: Outcome): Promise<void> {
    const { clock } = context.io;
    const over = waiting(outcome.total, signal);
    this.#failed = (error) => {
      outcome.fail(error);
      over.one();
    };
    const events: WatcherEvents = {
      created(askedMs) {
        outcome.done(askedMs);
        over.one();
      },
      event: (value) => this.#event(value),
      failed: (error) => this.#failed(error),
    };
    const opened = await openWatchers(connections, this.#plan, clock, events);
    this.#close = () => opened.close();
    await over.all;
  }

  async follow(bench: Bench, outcome: Outcome): Promise<void> {
    const { clock } = bench.context.io;
    const { puts, putsPerSecond: rate, putKeyOf, valueBytes } = this.#plan;
    const over = waiting(outcome.total, bench.signal);
    this.#event = (value) => {
      const number = Number(value.toString('latin1').trimEnd());
      outcome.done(this.#putMs[number] ?? clock.nowMs());
      over.one();
    };
    this.#failed = (error) => outcome.fail(error);
    const putting = new Outcome(clock, puts);
    const call = async (client: Bench['connections'][number], number: number): Promise<void> => {
      this.#putMs[number] = clock.nowMs();
      await put(client, putKeyOf(number), Buffer.from(String(number).padEnd(valueBytes), 'latin1'));
    };
    await runLoad({ ...bench, clock, total: puts, rate, call }, putting);
    for (const [text, many] of putting.errors) {
      outcome.fail(new Error(`${many} puts failed: ${text}`));
    }
    if (putting.failed === 0) await untilOrAfter(over.all, clock, eventsWaitMs);
    else await sleep(clock, 100, bench.signal);
    if (over.missing > 0 && !bench.signal.aborted) {
      outcome.fail(new Error(`${over.missing} events did not come`));
    }
  }
}

/** Waits for so many of a thing, or for the signal. */
function waiting(many: number, signal: AbortSignal) {
  let missing = many;
  let resolve = (): void => undefined;
  const all = new Promise<void>((done) => {
    resolve = done;
  });
  if (missing === 0) resolve();
  onAbort(signal, () => resolve());
  return {
    all,
    get missing() {
      return missing;
    },
    one() {
      missing -= 1;
      if (missing === 0) resolve();
    },
  };
}
