/**
 * Which faults happen when. All follow from the seed and from their own number, so that leaving
 * some out, as the shrinker does, does not change the others.
 */

import { SimRandom } from '../../src/sim/index.js';

export type FaultKind =
  | 'kill'
  | 'crash'
  | 'crash all'
  | 'crash in a disk operation'
  | 'pause'
  | 'partition'
  | 'one-way partition'
  | 'isolate leader'
  | 'ring'
  | 'loss'
  | 'duplication'
  | 'delay'
  | 'reordering'
  | 'corruption'
  | 'cut connections'
  | 'refused connections'
  | 'clock rate'
  | 'clock jump'
  | 'slow disk'
  | 'failed fsync'
  | 'disk full'
  | 'stop and start'
  | 'move leader'
  | 'campaign'
  | 'lagging member'
  | 'no leader'
  | 'pause all'
  | 'bit flip'
  | 'wipe'
  | 'add member'
  | 'remove member';

export interface Fault {
  readonly kind: FaultKind;
  /** Happens once so many events have fired. */
  readonly step: number;
  /** Everything about it that is left to chance. */
  readonly seed: number;
}

/** Kinds that change nothing in a cluster of one. */
const needOthers: ReadonlySet<FaultKind> = new Set<FaultKind>([
  'partition',
  'one-way partition',
  'isolate leader',
  'ring',
  'loss',
  'duplication',
  'delay',
  'reordering',
  'corruption',
  'cut connections',
  'refused connections',
  'move leader',
  'lagging member',
  'no leader',
  'wipe',
  'bit flip',
  'remove member',
]);

const frequent: readonly FaultKind[] = [
  'kill',
  'crash',
  'crash in a disk operation',
  'pause',
  'partition',
  'isolate leader',
];
const others: readonly FaultKind[] = [
  'crash all',
  'one-way partition',
  'ring',
  'loss',
  'duplication',
  'delay',
  'reordering',
  'corruption',
  'cut connections',
  'refused connections',
  'clock rate',
  'clock jump',
  'slow disk',
  'failed fsync',
  'disk full',
  'stop and start',
  'move leader',
  'campaign',
  'lagging member',
  'no leader',
  'pause all',
];
/** At most once or twice a run: they cost a member. */
const costly: readonly FaultKind[] = ['wipe', 'bit flip', 'add member', 'remove member'];

export interface ScheduleOptions {
  readonly size: number;
  /** Faults come while so many events fire. */
  readonly steps: number;
  readonly count: number;
  /** More of these; without it the usual ones. */
  readonly frequent?: readonly FaultKind[] | undefined;
}

export function drawSchedule(random: SimRandom, options: ScheduleOptions): Fault[] {
  const { size, steps, count } = options;
  const possible = (kind: FaultKind): boolean => size > 1 || !needOthers.has(kind);
  const kinds: FaultKind[] = [];
  for (const kind of random.shuffled(costly.filter(possible)).slice(0, 2)) kinds.push(kind);
  const rest = random.shuffled(others.filter(possible));
  const usual = (options.frequent ?? frequent).filter(possible);
  const share = options.frequent === undefined ? 0.4 : 0.8;
  while (kinds.length < count) {
    const next = random.chance(share) ? undefined : rest.pop();
    kinds.push(next ?? random.pick(usual));
  }
  const first = Math.floor(steps / 20);
  return random
    .shuffled(kinds)
    .map((kind) => ({ kind, step: random.between(first, steps), seed: random.u32() }))
    .sort((a, b) => a.step - b.step);
}

/** Chance for one fault. */
export function chanceOf(fault: Fault): SimRandom {
  return new SimRandom(fault.seed);
}
