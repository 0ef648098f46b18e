/**
 * Three processes, writes through all of them, an `etcdctl watch` and a grpc-js watch stream on the
 * two followers; then kill -9 of the leader. Writes go on, no acknowledged one is lost, and neither
 * watch misses or repeats an event or sees one that is not there afterwards.
 *
 * How long writes stood still is printed; the chaos run (docs/guarantees.md) measures it properly.
 */

import { afterEach, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { exec } from '../helpers/exec.js';
import { bytes, prefixEnd, RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startCluster } from '../helpers/server.js';
import { targetKind, targetTool } from '../helpers/target.js';
import { describeWith, toolPath } from '../helpers/tools.js';

const writerCount = 6;
const ackedBeforeKill = 200;
const ackedAfterKill = 400;

let clients: RawClient[] = [];
let members: readonly ServerProcess[] = [];

afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  await Promise.all(members.map((member) => member.dispose()));
});

/** A write that was answered. */
interface Acknowledged {
  readonly value: string;
  readonly revision: number;
}

/** What one watch saw: `value` in the order of arrival, with revisions where they are shown. */
interface Seen {
  readonly value: string;
  readonly revision: number | undefined;
}

describeWith([targetTool, 'etcdctl'], 'kill -9 of the leader', () => {
  it('loses no acknowledged write, and watches on the others go on', async () => {
    members = await startCluster(targetKind, 3);
    const leader = await eventually(leaderOf, 'a leader');
    const [one, other] = members.filter((member) => member !== leader);
    if (one === undefined || other === undefined) throw new Error('three members were started');

    const stream = await watchStream(one);
    const [etcdctl, ready] = watchByEtcdctl(other);
    await ready;

    const acknowledged: Acknowledged[] = [];
    const gap = { lastMs: performance.now(), longestMs: 0 };
    let killedAt = -1;
    let stopped: Promise<void> | undefined;
    const onAck = (write: Acknowledged): void => {
      const now = performance.now();
      if (killedAt >= 0) gap.longestMs = Math.max(gap.longestMs, now - gap.lastMs);
      gap.lastMs = now;
      acknowledged.push(write);
      if (killedAt >= 0 || acknowledged.length < ackedBeforeKill) return;
      killedAt = acknowledged.length;
      stopped = leader.kill();
    };
    const isDone = (): boolean => killedAt >= 0 && acknowledged.length >= killedAt + ackedAfterKill;
    const writers = Array.from({ length: writerCount }, (_, i) => write(i, onAck, isDone));
    const asked = (await Promise.all(writers)).reduce((sum, count) => sum + count, 0);
    await stopped;
    console.log(
      `writes stood still for ${Math.round(gap.longestMs)} ms; ` +
        `${acknowledged.length} of ${asked} answered`,
    );

    // The dead one comes back, and all have the same.
    await leader.start();
    await put(one, 'end');
    for (const member of members) await expectAll(member, acknowledged);
    const events = await historyOf(one);

    await eventually(() => (stream.at(-1)?.value === 'end' ? true : undefined), 'the last event');
    expect(stream).toEqual(events);
    const seen = await etcdctl;
    expect(seen.map(({ value }) => value)).toEqual(events.map(({ value }) => value));
  });
});

/** Writes values of its own, each once, through one member after the other. */
async function write(
  number: number,
  onAck: (write: Acknowledged) => void,
  isDone: () => boolean,
): Promise<number> {
  const own = members.map((member) => clientOf(member));
  let i = 0;
  for (; !isDone(); i += 1) {
    const value = `${number}-${i}`;
    const client = own[(number + i) % own.length] as RawClient;
    const request = { key: bytes(`kill/${value}`), value: bytes(value) };
    try {
      // Sent once: one without an answer may be there or not.
      const reply = await client.put(request, { deadlineMs: 1000 });
      onAck({ value, revision: Number(reply.header?.revision) });
    } catch {}
  }
  return i;
}

/** Every acknowledged write is there, under its revision, and no revision was given twice. */
async function expectAll(
  member: ServerProcess,
  acknowledged: readonly Acknowledged[],
): Promise<void> {
  const reply = await clientOf(member).range({
    key: bytes('kill/'),
    range_end: prefixEnd('kill/'),
  });
  const found = new Map(
    reply.kvs.map((kv) => [kv.value.toString('latin1'), Number(kv.mod_revision)]),
  );
  const wrong = acknowledged.filter(({ value, revision }) => found.get(value) !== revision);
  expect(wrong).toEqual([]);
  expect(new Set(found.values()).size).toBe(found.size);
}

/** A watch of everything over grpc-js; the array grows as events come. */
async function watchStream(member: ServerProcess): Promise<Seen[]> {
  const stream = clientOf(member).watch({ deadlineMs: 300_000 });
  stream.send({
    create_request: { key: bytes('kill/'), range_end: prefixEnd('kill/'), start_revision: 1 },
  });
  const created = await stream.reader.next();
  expect(created.created).toBe(true);
  const seen: Seen[] = [];
  const read = async (): Promise<void> => {
    for (;;) {
      const { events } = await stream.reader.next();
      for (const { kv } of events) {
        seen.push({ value: kv.value.toString('latin1'), revision: Number(kv.mod_revision) });
      }
    }
  };
  read().catch(() => {}); // it ends with its channel; what is missing then shows
  return seen;
}

/** The same with etcdctl, until the last event; the second promise: it is watching. */
function watchByEtcdctl(member: ServerProcess): readonly [Promise<readonly Seen[]>, Promise<void>] {
  let tell: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const args = ['--endpoints', member.endpoint, 'watch', 'kill/', '--prefix', '--rev=1'];
  const done = exec(toolPath('etcdctl'), args, {
    timeoutMs: 170_000,
    onOutput: (out) => {
      if (out !== '') tell();
    },
    until: (out) => out.endsWith('PUT\nkill/end\nend\n'),
  });
  const seen = done.then(({ stdout }) =>
    [...stdout.toString('utf8').matchAll(/PUT\n(.*)\n(.*)\n/g)].map(
      ([, key = '', value = '']): Seen => {
        expect(key).toBe(`kill/${value}`);
        return { value, revision: undefined };
      },
    ),
  );
  // It writes nothing until there is an event.
  return [seen, put(member, 'begin').then(() => ready)];
}

/** All there ever was: each key is written once. */
async function historyOf(member: ServerProcess): Promise<Seen[]> {
  const reply = await clientOf(member).range({
    key: bytes('kill/'),
    range_end: prefixEnd('kill/'),
  });
  return reply.kvs
    .map((kv) => ({ value: kv.value.toString('latin1'), revision: Number(kv.mod_revision) }))
    .sort((a, b) => a.revision - b.revision);
}

async function put(member: ServerProcess, value: string): Promise<void> {
  await clientOf(member).put({ key: bytes(`kill/${value}`), value: bytes(value) });
}

async function leaderOf(): Promise<ServerProcess | undefined> {
  for (const member of members) {
    const { leader, header } = await clientOf(member).status();
    if (leader !== '0' && leader === header?.member_id) return member;
  }
  return undefined;
}

function clientOf(member: ServerProcess): RawClient {
  const client = new RawClient(member);
  clients.push(client);
  return client;
}
