/** Parts of the etcdctl comparison that take several commands at once. */

import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import type { EtcdctlSession, EtcdctlStep } from '../../helpers/etcdctl.js';
import { eventually } from '../../helpers/eventually.js';
import { RawClient } from '../../helpers/grpc.js';

/** Two locks on one name: the second is acquired only after the first was given up. */
export async function contend(session: EtcdctlSession): Promise<string> {
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
export async function campaign(session: EtcdctlSession): Promise<string> {
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

export async function saveSnapshot(session: EtcdctlSession): Promise<string> {
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

export async function hashes(session: EtcdctlSession): Promise<readonly string[]> {
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

export async function raiseNoSpace(session: EtcdctlSession): Promise<void> {
  const client = new RawClient(session.server);
  try {
    const status = await client.status();
    const memberID = status.header?.member_id ?? '0';
    await client.alarm({ action: 1, memberID, alarm: 1 });
  } finally {
    client.close();
  }
}
