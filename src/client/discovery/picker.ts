/**
 * Which instance is called next. A picker follows a live list and counts the calls that it gave out
 * and that have not ended; a strategy decides on that. Nothing here waits or does I/O.
 */

import type { Random } from '../../common/index.js';
import type { Instance, LiveService } from './types.js';

/** What a strategy decides on. */
export interface Candidates<M> {
  /** At least one. */
  readonly instances: readonly Instance<M>[];
  /** Calls that this picker gave to the instance and that have not ended. */
  outstanding(instance: Instance<M>): number;
}

export type Strategy<M> = (candidates: Candidates<M>) => Instance<M> | undefined;

/** An instance to call. */
export interface Picked<M> extends Disposable {
  readonly instance: Instance<M>;
  /** The call has ended. `using` does this. Strategies that do not count do not need it. */
  done(): void;
}

export interface Picker<M> {
  /** Undefined if there is no instance, or all are excluded (say, because a call has failed). */
  pick(exclude?: ReadonlySet<string>): Picked<M> | undefined;
}

/** Picks from the current instances of a service. */
export function picker<M>(
  live: Pick<LiveService<M>, 'current'>,
  strategy: Strategy<M> = roundRobin(),
): Picker<M> {
  /** Id -> calls; those that have none are not in it. */
  const calls = new Map<string, number>();
  const outstanding = ({ id }: Instance<M>): number => calls.get(id) ?? 0;
  return {
    pick: (exclude) => {
      const { instances: all } = live.current;
      const instances = exclude === undefined ? all : all.filter(({ id }) => !exclude.has(id));
      if (instances.length === 0) return undefined;
      const instance = strategy({ instances, outstanding });
      if (instance === undefined) return undefined;
      calls.set(instance.id, outstanding(instance) + 1);
      let ended = false;
      const done = (): void => {
        if (ended) return;
        ended = true;
        const left = outstanding(instance) - 1;
        if (left > 0) calls.set(instance.id, left);
        else calls.delete(instance.id);
      };
      return { instance, done, [Symbol.dispose]: done };
    },
  };
}

/** One after the other, by their ids; goes on from the last one if the list changes. */
export function roundRobin<M>(): Strategy<M> {
  let last = '';
  return ({ instances }) => {
    const next = instances.find(({ id }) => id > last) ?? instances[0];
    last = next?.id ?? '';
    return next;
  };
}

/**
 * The one with the fewest calls outstanding, plus what `load` says of it (from its metadata, say).
 * Among equals one after the other.
 */
export function leastLoaded<M>(
  options: {
    /** In units of one outstanding call. */
    readonly load?: (instance: Instance<M>) => number;
    /** An instance of weight 2 takes twice the calls. Default 1 each. */
    readonly weight?: (instance: Instance<M>) => number;
  } = {},
): Strategy<M> {
  const { load, weight } = options;
  const turn = roundRobin<M>();
  return ({ instances, outstanding }) => {
    let least = Number.POSITIVE_INFINITY;
    let best: Instance<M>[] = [];
    for (const instance of instances) {
      const own = (outstanding(instance) + (load?.(instance) ?? 0)) / (weight?.(instance) ?? 1);
      if (own > least) continue;
      if (own < least) best = [];
      least = own;
      best.push(instance);
    }
    return best.length === 0 ? undefined : turn({ instances: best, outstanding });
  };
}

/** Those of the own zone, as long as there are enough; otherwise all. */
export function zoneAware<M>(options: {
  readonly zone: string;
  readonly zoneOf: (instance: Instance<M>) => string | undefined;
  /** Fewer in the own zone than this: everybody shares the load. Default 1. */
  readonly localMin?: number;
  /** How to choose among them. Default round robin. */
  readonly among?: Strategy<M>;
}): Strategy<M> {
  const { zone, zoneOf, localMin = 1, among = roundRobin<M>() } = options;
  return ({ instances, outstanding }) => {
    const near = instances.filter((instance) => zoneOf(instance) === zone);
    return among({ instances: near.length >= localMin ? near : instances, outstanding });
  };
}

/** Any, each as likely. */
export function atRandom<M>(random: Pick<Random, 'float'>): Strategy<M> {
  return ({ instances }) => instances[Math.floor(random.float() * instances.length)];
}
