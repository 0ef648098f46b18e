/**
 * What it costs to ask whether a user may: a user with so many grants over ten roles, keys and
 * ranges at random, half of them allowed. Node only; no server, no network.
 */

import { silentLogger } from '../src/common/index.js';
import { AuthState, MemberAccess, noTokens, type Permission } from '../src/server/access/index.js';
import { nodeClock } from '../src/server/index.js';
import { commandLine, numberOf, wordsOf } from './arguments.js';

const usage = `usage: node dist/bench/access.js [grants] [checks]
       (100, 2000000)
`;

const roles = 10;
const questions = 4096;

/** A user `u` whose grants are every other range of a thousand keys. */
function accessWith(grants: number): MemberAccess {
  const state = new AuthState(nodeClock);
  const txn = { setMeta(): void {} };
  state.addUser(txn, { name: 'u', hash: '', noPassword: false });
  for (let role = 0; role < roles; role++) {
    state.addRole(txn, `role-${role}`);
    state.grantRole(txn, 'u', `role-${role}`);
  }
  for (let i = 0; i < grants; i++) {
    const permission: Permission = { type: 2, key: prefixOf(2 * i), rangeEnd: prefixOf(2 * i + 1) };
    state.grantPermission(txn, `role-${i % roles}`, permission);
  }
  return new MemberAccess({ state, tokens: noTokens, byCertificate: false, logger: silentLogger });
}

function prefixOf(i: number): string {
  return Buffer.from(`/registry/${String(i).padStart(7, '0')}/`).toString('latin1');
}

function run(): void {
  const [grants, checks] = commandLine(usage, (args) => {
    const words = wordsOf(args, 2);
    if (words === undefined) return undefined;
    return [numberOf('grants', words[0], 100), numberOf('checks', words[1], 2_000_000)] as const;
  });
  const access = accessWith(grants);
  const authRevision = access.revision;
  const caller = { name: 'u', authRevision, refusal: undefined, isMember: false };
  const asked = Array.from({ length: questions }, (_, i) => {
    const prefix = prefixOf((i * 7919) % (2 * grants));
    const isRange = i % 2 === 1;
    return [`${prefix}${isRange ? 'a' : 'name'}`, isRange ? `${prefix}b` : ''] as const;
  });
  let allowed = 0;
  const ask = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const [key, rangeEnd] = asked[i % questions] as (typeof asked)[number];
      if (access.readRefusal(caller, key, rangeEnd) === undefined) allowed += 1;
    }
  };
  ask(checks / 10);
  allowed = 0;
  const cpuBefore = process.cpuUsage();
  ask(checks);
  const { system, user } = process.cpuUsage(cpuBefore);
  const nanoseconds = ((user + system) * 1000) / checks;
  process.stdout.write(
    `${grants} grants, ${checks} checks, ${allowed} of them allowed: ` +
      `${nanoseconds.toFixed(0)} ns of CPU each\n`,
  );
}

run();
