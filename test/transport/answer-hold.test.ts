/** What answers in the making may hold together: bounded, in turns, and never for ever. */

import { describe, expect, it } from 'vitest';
import { EtcdError } from '../../src/common/index.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';
import { answersWaitingMax } from '../../src/transport/limits.js';
import { type AnswerHold, type RoomUser, SendRoom } from '../../src/transport/send-room.js';

const part = 1024 * 1024;
const all = 16 * part;

class User implements RoomUser {
  queuedBytes = 0;
  dequeuedBytes = 0;
  stalled = 0;
  readonly #room: SendRoom;

  constructor(room: SendRoom) {
    this.#room = room;
  }

  queue(bytes: number): void {
    this.queuedBytes += bytes;
    this.#room.add(this, bytes);
  }

  send(bytes: number): void {
    this.queuedBytes -= bytes;
    this.dequeuedBytes += bytes;
    this.#room.add(this, -bytes);
  }

  onStalled(): void {
    this.stalled += 1;
  }
}

function setUp() {
  const clock = new SimClock();
  const counts = { answersWaited: 0, answersRefused: 0 };
  const limits = {
    serverBacklogBytesMax: all,
    connectionBacklogBytesMax: all / 4,
    stalledReaderMs: 1000,
  };
  const room = new SendRoom(clock, limits, counts);
  const order: string[] = [];
  /** Takes; what it is called is in `order` once it has it. */
  const take = (hold: AnswerHold, parts: number, name: string): void => {
    const taken = hold.take(parts * part);
    if (taken === undefined) order.push(name);
    else {
      taken.then(
        () => order.push(name),
        (error: EtcdError) => order.push(`${name} ${error.reason}`),
      );
    }
  };
  return { clock, counts, room, order, take, settle: () => clock.run(clock.nowMs() + 1) };
}

describe('answers that are made', () => {
  it('wait, in order, while seven of sixteen parts are taken', async () => {
    const { room, order, take, settle } = setUp();
    const user = new User(room);
    const holds = [0, 1, 2, 3].map(() => room.hold(user));
    for (const [i, hold] of holds.entries()) take(hold, 3, `${i}`);
    await settle();
    expect([order, room.bytes, room.waiting]).toEqual([['0', '1'], 6 * part, 2]);
    holds[0]?.leave();
    await settle();
    expect(order).toEqual(['0', '1', '2']);
    holds[1]?.leave();
    holds[2]?.leave();
    await settle();
    holds[3]?.leave();
    expect([order, room.bytes, room.waiting]).toEqual([['0', '1', '2', '3'], 0, 0]);
  });

  it('are refused above half of all, also in the middle', async () => {
    const { counts, room, order, take, settle } = setUp();
    const user = new User(room);
    take(room.hold(user), 8.1, 'large');
    const hold = room.hold(user);
    take(hold, 8, 'whole');
    take(hold, 0.1, 'more');
    await settle();
    expect(order).toEqual(['whole', 'large ANSWER_TOO_LARGE', 'more ANSWER_TOO_LARGE']);
    expect(counts.answersRefused).toBe(2);
    hold.leave();
    expect(room.bytes).toBe(0);
  });

  it('that grow: the oldest goes on beyond what others may have, then the next', async () => {
    const { room, order, take, settle } = setUp();
    const [old, young] = [room.hold(new User(room)), room.hold(new User(room))];
    take(old, 3.5, 'old');
    take(young, 3.5, 'young');
    take(young, 2, 'young more');
    take(old, 4, 'old more');
    const late = room.hold(new User(room));
    take(late, 1, 'late');
    await settle();
    expect(order).toEqual(['old', 'young', 'old more']);
    old.leave();
    await settle();
    expect(order.slice(3)).toEqual(['young more', 'late']);
  });

  it("that are only sent yet stand in nobody's way of becoming the oldest", async () => {
    const { room, order, take, settle } = setUp();
    const [sent, young] = [room.hold(new User(room)), room.hold(new User(room))];
    take(sent, 5, 'sent');
    sent.settle();
    take(young, 2, 'young');
    take(young, 5, 'more');
    await settle();
    expect(order).toEqual(['sent', 'young', 'more']);
  });

  it('of one connection do not hold up those of another', async () => {
    const { room, order, take, settle } = setUp();
    const [many, few] = [new User(room), new User(room)];
    const holds = new Map<string, AnswerHold>();
    const ask = (user: User, name: string): void => {
      const hold = room.hold(user);
      holds.set(name, hold);
      take(hold, 7, name);
    };
    for (let i = 0; i < 20; i += 1) ask(many, `many ${i}`);
    ask(few, 'few');
    for (let i = 0; i < 4; i += 1) {
      await settle();
      holds.get(order.at(-1) ?? '')?.leave();
    }
    expect(order.slice(0, 3)).toContain('few');
  });

  it('that are short wait for no long ones', async () => {
    const { room, order, take, settle } = setUp();
    take(room.hold(new User(room)), 7, 'long');
    take(room.hold(new User(room)), 7, 'second');
    for (let i = 0; i < 8; i += 1) take(room.hold(new User(room)), 1 / 16, `${i}`);
    take(room.hold(new User(room)), 1 / 16, 'too many');
    await settle();
    expect(order).toEqual(['long', '0', '1', '2', '3', '4', '5', '6', '7']);
    // And what is made at once, of one key say, is only looked at for what is unsent.
    const user = new User(room);
    expect([room.has(user, true), room.has(user)]).toEqual([true, false]);
  });

  it('of calls that end wait no more, and leave nothing behind', async () => {
    const { room, order, take, settle } = setUp();
    const user = new User(room);
    const first = room.hold(user);
    take(first, 7, 'first');
    for (let i = 0; i < 1000; i += 1) {
      const hold = room.hold(user);
      take(hold, 7, 'gone');
      hold.cancel();
      hold.leave();
    }
    await settle();
    expect(room.waiting).toBe(0);
    expect(order.filter((name) => name === 'gone REQUEST_CANCELED')).toHaveLength(1000);
    first.leave();
    expect(room.bytes).toBe(0);
  });

  it('are refused when too many wait', async () => {
    const { counts, room, order, take, settle } = setUp();
    const user = new User(room);
    take(room.hold(user), 7, 'first');
    for (let i = 0; i < answersWaitingMax; i += 1) take(room.hold(user), 7, 'waits');
    take(room.hold(user), 7, 'one');
    await settle();
    expect(order).toEqual(['first', 'one TOO_MANY_REQUESTS']);
    expect([room.waiting, counts.answersRefused]).toEqual([answersWaitingMax, 1]);
    expect(room.wait(user, () => {})).toBeUndefined();
  });

  it('keep the bound and end, whatever they take, grow, send and give up', async () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const { clock, room } = setUp();
      const random = new SimRandom(seed);
      const users = Array.from({ length: 5 }, () => new User(room));
      let ended = 0;
      const pause = (ms: number) => new Promise<void>((go) => clock.after(ms, go));
      const look = (): void => expect(room.bytes).toBeLessThanOrEqual(all);
      const answer = async (): Promise<void> => {
        await pause(random.below(200));
        const user = users[random.below(5)] as User;
        const hold = room.hold(user);
        try {
          for (let takes = 1 + random.below(4); takes > 0; takes -= 1) {
            const bytes = random.below(8) === 0 ? random.below(3 * part) : random.below(60_000);
            const taken = hold.take(bytes);
            if (random.below(20) === 0) clock.after(random.below(50), () => hold.cancel());
            if (taken !== undefined) await taken;
            look();
            if (random.below(2) === 0) await pause(random.below(10));
          }
          // It is in the queue now, and leaves bit by bit.
          const { bytes } = hold;
          hold.leave();
          user.queue(bytes);
          look();
          for (let left = bytes; left > 0; ) {
            await pause(1 + random.below(20));
            const some = Math.min(left, 1 + random.below(part));
            user.send(some);
            left -= some;
          }
        } catch (error) {
          expect(error).toBeInstanceOf(EtcdError);
        } finally {
          hold.leave();
        }
        ended += 1;
      };
      const answers = Array.from({ length: 150 }, answer);
      await clock.run(clock.nowMs() + 600_000);
      expect(ended, `seed ${seed}`).toBe(150);
      await Promise.all(answers);
      expect([room.bytes, room.waiting], `seed ${seed}`).toEqual([0, 0]);
    }
  });
});

describe('a reader that takes next to nothing while others wait', () => {
  it('is closed: a byte now and then is no progress', async () => {
    const { clock, room, order, take } = setUp();
    const [slow, good] = [new User(room), new User(room)];
    slow.queue(9 * part);
    good.queue(4 * part);
    take(room.hold(new User(room)), 7, 'waits');
    for (let ms = 0; ms < 1500; ms += 100) {
      slow.send(1);
      good.send(part / 10);
      await clock.run(clock.nowMs() + 100);
    }
    expect([slow.stalled > 0, good.stalled, order]).toEqual([true, 0, []]);
  });

  it('is left alone while nobody waits', async () => {
    const { clock, room } = setUp();
    const slow = new User(room);
    slow.queue(4 * part);
    await clock.run(100_000);
    expect(slow.stalled).toBe(0);
  });
});
