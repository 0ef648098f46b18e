/**
 * Debian's etcdctl must not be able to tell kvorum from Debian's etcd-server: one script of
 * commands runs on both, and what etcdctl prints, its errors and its exit codes must be the same
 * line by line, apart from ids, times, sizes and versions (see helpers/mask.ts) and the few rows
 * of etcdctl/differences.ts.
 *
 * With KVORUM_TEST_TARGET=etcd two etcds are compared: that shows that the masks hide enough.
 * KVORUM_TRANSCRIPT=1 prints what the target said.
 */

import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { EtcdctlSession, type EtcdctlStep } from '../helpers/etcdctl.js';
import { eventually } from '../helpers/eventually.js';
import { RawClient } from '../helpers/grpc.js';
import { saysPending } from '../helpers/pending.js';
import { useServer, useTarget } from '../helpers/server.js';
import { targetMinor, targetTool } from '../helpers/target.js';
import { describeWith, slow } from '../helpers/tools.js';
import { alarmSteps } from './etcdctl/alarm-steps.js';
import { reconcile } from './etcdctl/differences.js';
import { script } from './etcdctl/steps.js';

describeWith(['etcd', 'etcdctl', targetTool], 'etcdctl sees no difference', () => {
  const reference = useServer('etcd');
  const target = useTarget();
  let sessions: readonly [EtcdctlSession, EtcdctlSession];

  beforeAll(async () => {
    sessions = [await EtcdctlSession.open(reference()), await EtcdctlSession.open(target())];
  });

  async function compareStep(step: EtcdctlStep, skip: (note: string) => void): Promise<void> {
    const said = await Promise.all([sessions[0].run(step), sessions[1].run(step)]);
    if (saysPending(said[1])) skip('kvorum has this RPC not yet');
    compareTranscripts(step, said);
  }

  for (const chapter of script) {
    describe(chapter.title, () => {
      for (const [index, step] of chapter.steps.entries()) {
        it(`${index + 1}: ${nameOf(step)}`, ({ skip }) => compareStep(step, skip));
      }
    });
  }

  it('a lock is waited for, and passes on when its holder ends', async () => {
    const said = await Promise.all(sessions.map((session) => contend(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('an election is seen by a listener, and won by the next when the leader resigns', async () => {
    const said = await Promise.all(sessions.map((session) => campaign(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('snapshot save writes a file that ends in the digest of the rest', async () => {
    const said = await Promise.all(sessions.map((session) => saveSnapshot(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('endpoint hashkv is stable without writes, and differs after one', async () => {
    const answers = await Promise.all(sessions.map((session) => hashes(session)));
    for (const [first, again, changed] of answers) {
      expect(again).toBe(first);
      expect(changed).not.toBe(first);
    }
  });

  describe('with the NOSPACE alarm raised', () => {
    beforeAll(async () => {
      for (const session of sessions) await raiseNoSpace(session);
    });
    for (const [index, step] of alarmSteps.entries()) {
      it(`${index + 1}: ${nameOf(step)}`, ({ skip }) => compareStep(step, skip));
    }
  });
});

describeWith(['etcdctl', targetTool], 'etcdctl check perf', () => {
  const target = useTarget();

  it.skipIf(!slow)(
    `passes at the small load${slow ? '' : ' (skipped: takes a minute, KVORUM_SLOW=1 runs it)'}`,
    { timeout: 180_000 },
    async () => {
      const session = await EtcdctlSession.open(target());
      const done = await session.exec(['check', 'perf', '--load=s'], { timeoutMs: 170_000 });
      const said = done.stdout.toString('utf8') + done.stderr;
      expect(said).toContain('PASS: Throughput is');
      expect(said).toMatch(/\nPASS\n*$/);
      expect(done.code).toBe(0);
    },
  );
});

function nameOf(step: EtcdctlStep): string {
  const input = step.stdin === undefined ? '' : ` <<< ${JSON.stringify(step.stdin)}`;
  return `etcdctl ${step.args.join(' ')}${input}`;
}

function compareTranscripts(step: EtcdctlStep, said: readonly [string, string]): void {
  if (process.env.KVORUM_TRANSCRIPT === '1') console.log(said[1]);
  const [expected, actual] =
    targetMinor === 4 ? said : reconcile(step.args.join(' '), said[0], said[1]);
  expect(actual).toBe(expected);
}

/** Two locks on one name: the second is acquired only after the first was given up. */
async function contend(session: EtcdctlSession): Promise<string> {
  const [released, release] = signal();
  const first = session.exec(['lock', 'contended'], { endWhen: released });
  await waiters(session, 'contended', 1);
  const second = session.exec(['lock', 'contended', 'echo', 'second']);
  await waiters(session, 'contended', 2);
  let secondDone = false;
  void second.then(() => {
    secondDone = true;
  });
  const order = [`second done while first holds: ${secondDone}`];
  release();
  for (const done of [await first, await second]) {
    order.push(session.transcript({ args: ['lock', 'contended'] }, done));
  }
  return order.join('\n');
}

/** A leader, a listener and a second candidate. */
async function campaign(session: EtcdctlSession): Promise<string> {
  const [resigned, resign] = signal();
  const [elected, leading] = signal();
  const leader = session.exec(['elect', 'office', 'one'], {
    until: (out) => {
      if (out.includes('one\n')) leading();
      return false;
    },
    endWhen: resigned,
  });
  await elected;
  // It must stay in office until the listener has seen it: a candidate that leaves at once may be
  // gone before the listener looks.
  const [heard, hear] = signal();
  const [won, win] = signal();
  const second = session.exec(['elect', 'office', 'two'], {
    until: (out) => {
      if (out.includes('two\n')) win();
      return false;
    },
    endWhen: Promise.all([heard, won]).then(() => undefined),
  });
  await waiters(session, 'office', 2);
  const listener = session.exec(['elect', '-l', 'office'], {
    until: (out) => {
      if (out.includes('one\n')) resign();
      if (out.includes('two\n')) hear();
      return out.includes('two\n');
    },
  });
  const seen: string[] = [];
  for (const [who, done] of [
    ['leader', await leader],
    ['second', await second],
    ['listener', await listener],
  ] as const) {
    // Whether a call was under way when the command was interrupted is chance: no stderr.
    seen.push(session.transcript({ args: [who] }, { ...done, stderr: '' }));
  }
  return seen.join('\n');
}

/** A promise and the function that fulfils it. */
function signal(): readonly [Promise<void>, () => void] {
  let fulfil: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    fulfil = resolve;
  });
  return [promise, fulfil];
}

function waiters(session: EtcdctlSession, prefix: string, count: number): Promise<true> {
  return eventually(async () => {
    const got = await session.exec(['get', `${prefix}/`, '--prefix', '--keys-only']);
    const keys = got.stdout.toString('utf8').split('\n').filter(Boolean).length;
    return keys === count ? (true as const) : undefined;
  }, `${count} keys under ${prefix}/`);
}

async function saveSnapshot(session: EtcdctlSession): Promise<string> {
  const file = `${session.server.dataDir}.snapshot`;
  session.known.set(file, '<file>');
  const step: EtcdctlStep = { args: ['snapshot', 'save', file] };
  const transcript = await session.run(step);
  const content = readFileSync(file);
  rmSync(file);
  const digest = createHash('sha256').update(content.subarray(0, -32)).digest();
  const trailer = content.subarray(-32);
  return [
    transcript,
    `size modulo 512: ${content.length % 512}`,
    `the last 32 bytes are the digest of the rest: ${digest.equals(trailer)}`,
  ].join('\n');
}

async function hashes(session: EtcdctlSession): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const before of [
    ['get', 'c/a'],
    ['get', 'c/a'],
    ['put', 'hash/x', '1'],
  ]) {
    await session.exec(before);
    const said = await session.exec(['endpoint', 'hashkv']);
    answers.push(said.stdout.toString('utf8'));
  }
  return answers;
}

async function raiseNoSpace(session: EtcdctlSession): Promise<void> {
  const client = new RawClient(session.server);
  try {
    const status = await client.status();
    const memberID = status.header?.member_id ?? '0';
    await client.alarm({ action: 1, memberID, alarm: 1 });
  } finally {
    client.close();
  }
}
