/** `top`: what the members are doing now. */

import { sleep } from '../../../common/index.js';
import { CommandError, command, exit, flag } from '../../command/index.js';
import { urlOf } from '../../connect/index.js';
import { formOf, jsonLine, painter, showLive } from '../../show/index.js';
import { type ClusterLook, countPrefixes, lookAtCluster, type PrefixCounts } from '../ask/index.js';
import { columnCount, type TopView, topJson, topLines } from './top-lines.js';

const help =
  'q leave   left, right: sort members by another column   p: prefixes by keys or by name';

export const topCommand = command({
  name: 'top',
  short: 'Shows what the members are doing, live',
  long:
    'Shows what the members are doing: rates, latencies of the disk, methods, the biggest prefixes.\n' +
    'Live on a terminal; else, and with --once, what happened in one interval.\n' +
    'Keys: q leaves, left and right sort members, p sorts prefixes.',
  group: 'Commands that look',
  beyondEtcdctl: true,
  flags: {
    once: flag.bool(false, 'show one interval and end'),
    interval: flag.duration(1_000, 'time between two looks'),
    'prefix-interval': flag.duration(10_000, 'time between two counts of prefixes'),
    delimiter: flag.string('/', 'what keys are divided by, one character'),
    depth: flag.int(2, 'parts of a key that are its prefix; 0 counts no prefixes'),
    'member-timeout': flag.duration(2_000, 'time for the answer of a member'),
  },
  async run(context, _args, flags) {
    const form = formOf(context, 'top');
    const { io, pretty } = context;
    const { delimiter, depth } = flags;
    if (delimiter.length !== 1 || delimiter.charCodeAt(0) > 0x7e) {
      throw new CommandError('--delimiter is one character of ASCII', exit.badArguments);
    }
    const client = await context.client();
    const signal = io.interrupted;
    const timeoutMs = flags['member-timeout'];
    const endpoints = context.global.endpoints.map((one) => urlOf(one, context.global));
    const view = new View();
    const look = async (): Promise<void> => {
      view.seen(await lookAtCluster({ client, endpoints, timeoutMs, signal }));
    };
    const count = async (): Promise<void> => {
      if (depth < 1) return view.counted('not asked for');
      try {
        view.counted(await countPrefixes({ client, delimiter, depth, timeoutMs, signal }));
      } catch (error) {
        view.counted(error instanceof Error ? error.message : String(error));
      }
    };
    if (flags.once || io.keys === undefined || !pretty) {
      await look();
      await count();
      await sleep(io.clock, flags.interval, signal);
      await look();
      const text =
        form === 'json'
          ? jsonLine(topJson(view.view))
          : `${topLines(view.view, painter(pretty), Number.POSITIVE_INFINITY).join('\n')}\n`;
      await io.stdout(text);
      return exit.ok;
    }
    const paint = painter(true);
    let countedMs = Number.NEGATIVE_INFINITY;
    let counting = false;
    await showLive({
      ...{ io, keys: io.keys, intervalMs: flags.interval },
      look: async () => {
        await look();
        if (counting || io.clock.nowMs() - countedMs < flags['prefix-interval']) return;
        // A large store is counted beside the looks.
        counting = true;
        void count().finally(() => {
          counting = false;
          countedMs = io.clock.nowMs();
        });
      },
      lines: ({ columns, rows }) => [
        ...topLines(view.view, paint, columns).slice(0, rows - 1),
        paint('dim', help.slice(0, columns)),
      ],
      press: (key) => view.press(key),
    });
    return exit.ok;
  },
});

/** What is on the screen, and how it is sorted. */
class View {
  #now: ClusterLook | undefined;
  #before: ClusterLook | undefined;
  #prefixes: PrefixCounts | string | undefined;
  #sortedBy = 0;
  #prefixesBy: 'keys' | 'name' = 'keys';

  get view(): TopView {
    if (this.#now === undefined) throw new Error('nothing was looked at yet');
    const sorting = { sortedBy: this.#sortedBy, prefixesBy: this.#prefixesBy };
    return { now: this.#now, before: this.#before, prefixes: this.#prefixes, ...sorting };
  }

  seen(look: ClusterLook): void {
    this.#before = this.#now;
    this.#now = look;
  }

  counted(prefixes: PrefixCounts | string): void {
    this.#prefixes = prefixes;
  }

  /** True if that key means something, and something is there to be drawn. */
  press(key: string): boolean {
    if (key === 'left' || key === 'right') {
      const step = key === 'right' ? 1 : columnCount - 1;
      this.#sortedBy = (this.#sortedBy + step) % columnCount;
    } else if (key === 'p') {
      this.#prefixesBy = this.#prefixesBy === 'keys' ? 'name' : 'keys';
    } else {
      return false;
    }
    return this.#now !== undefined;
  }
}
