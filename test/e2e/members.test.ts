/**
 * `kvorum join` and `kvorum member replace`: real processes under load, killed at every step.
 * KVORUM_SLOW=1 kills at each of them for each member; else each step is met once.
 */

import { describe, expect, it } from 'vitest';
import { slow } from '../helpers/tools.js';
import { Fleet, Load, type Machine } from './member-fleet.js';
import { endProgramsAfterEach, temporaryDirectory } from './program.js';

endProgramsAfterEach();

/** Moments in the life of one that joins. */
const added = /join: added [0-9a-f]+ as a learner/;
const served = /ready to serve client requests/;
const named = /join: .* has started/;
const every = [added, served, named];

const kills = (...few: RegExp[]): readonly RegExp[] => (slow ? every : few);

/** What `member replace` says, step by step; an earlier run may have come further. */
const beforeItRuns = [/added [0-9a-f]+ as a learner/, /start it on its machine/];
const afterIt = [/has started|votes|has taken/, /votes|has taken/, /has been removed|has taken/];

/** Runs `member replace` to its end; at each of `moments` it is killed. */
async function replaceThrough(
  fleet: Fleet,
  old: string,
  fresh: Machine,
  moments: readonly RegExp[],
): Promise<void> {
  for (const moment of moments) {
    const command = fleet.replace(old, fresh);
    await command.output(moment);
    await command.kill();
  }
}

describe('a cluster under load', () => {
  it('grows from one to three to five and shrinks to three, and nothing is lost', async () => {
    const fleet = new Fleet(temporaryDirectory());
    const m1 = await fleet.machine('m1');
    await fleet.found(m1);
    const load = new Load(fleet, 2);
    await load.goesOn(20);

    const m2 = await fleet.machine('m2');
    await fleet.joinThrough(m2, kills(added, served));
    await load.goesOn(20);
    const m3 = await fleet.machine('m3');
    await fleet.joinThrough(m3, kills(named));
    await load.goesOn(20);

    // The one that leads is killed while the next one joins.
    const m4 = await fleet.machine('m4');
    const joining = fleet.join(m4);
    await joining.logged(added);
    const leader = await fleet.leader();
    await fleet.kill(leader);
    await load.goesOn(20);
    await fleet.restart(leader);
    await fleet.untilVoter(m4);
    const m5 = await fleet.machine('m5');
    await fleet.joinThrough(m5, kills());
    await load.goesOn(20);
    expect(await fleet.withClient((etcd) => etcd.cluster.members())).toHaveLength(5);

    await fleet.remove(await fleet.leader());
    await load.goesOn(20);
    const left = fleet.machines.find(({ program }) => program !== undefined) as Machine;
    await fleet.remove(left);
    await load.goesOn(20);
    await load.stop();
    const members = await fleet.withClient((etcd) => etcd.cluster.members());
    expect(members.filter(({ isLearner }) => !isLearner)).toHaveLength(3);
    await fleet.check(load);
  }, 300_000);

  it('has a member replaced, and the command goes on from wherever it was killed', async () => {
    const fleet = new Fleet(temporaryDirectory());
    const machines: Machine[] = [];
    for (const name of ['m1', 'm2', 'm3']) machines.push(await fleet.machine(name));
    const [m1, m2, m3] = machines as [Machine, Machine, Machine];
    await fleet.found(m1);
    await fleet.joinThrough(m2, []);
    await fleet.joinThrough(m3, []);
    const load = new Load(fleet, 2);
    await load.goesOn(20);

    // The leader is the hardest to replace.
    const leader = await fleet.leader();
    const old = await fleet.idOf(leader);
    const m4 = await fleet.machine('m4');
    await replaceThrough(fleet, old, m4, beforeItRuns);
    const joined = fleet.joinThrough(m4, slow ? every : [served]);
    await replaceThrough(fleet, old, m4, afterIt);
    const last = fleet.replace(old, m4);
    expect(await last.ended, last.stderr).toBe(0);
    expect(last.stdout).toContain(`has taken the place of ${old}`);
    await joined;
    await fleet.kill(leader);
    await load.goesOn(20);
    await load.stop();
    const members = await fleet.withClient((etcd) => etcd.cluster.members());
    expect(members.map(({ name }) => name)).not.toContain(leader.name);
    expect(members).toHaveLength(3);
    await fleet.check(load);
  }, 300_000);
});
