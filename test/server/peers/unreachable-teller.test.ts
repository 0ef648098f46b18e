import { expect, it } from 'vitest';
import type { MemberId } from '../../../src/common/index.js';
import { UnreachableTeller } from '../../../src/server/peers/index.js';
import { SimClock } from '../../../src/sim/index.js';

const [a, b] = [1n as MemberId, 2n as MemberId];

it('tells of each member once a turn, and takes one turn for all of them', async () => {
  const clock = new SimClock();
  const told: MemberId[] = [];
  const teller = new UnreachableTeller(clock, (member) => told.push(member));
  for (let i = 0; i < 1000; i += 1) teller.add(a);
  teller.add(b);
  teller.add(a);
  expect(told).toEqual([]);
  await clock.runAll();
  expect(told).toEqual([a, b]);
  expect(clock.eventsFired).toBe(1);
  teller.add(a);
  await clock.runAll();
  expect(told).toEqual([a, b, a]);
});

it('tells nothing after stop', async () => {
  const clock = new SimClock();
  const told: MemberId[] = [];
  const teller = new UnreachableTeller(clock, (member) => told.push(member));
  teller.add(a);
  teller.stop();
  teller.add(b);
  await clock.runAll();
  expect(told).toEqual([]);
});
