/** The life of a configuration in one member: see the diagram in configuration-stages.ts. */

import { describe, expect, test } from 'vitest';
import { InvariantError } from '../../src/common/index.js';
import { ConfigurationStages } from '../../src/raft/configuration-stages.js';
import { configurationOf } from '../../src/raft/index.js';
import { addVoter, change, remove } from './support/cluster.js';

const founded = configurationOf([1n, 2n, 3n]);
const grown = configurationOf([1n, 2n, 3n, 4n]);
const snapshotted = configurationOf([1n, 5n, 6n]);

/** Voters in force, of the state machine, and as of the applied index. */
function voters({ inForce, ofMachine, atApplied }: ConfigurationStages): string[] {
  return [inForce, ofMachine, atApplied].map((one) => one.voters.join());
}

describe('a configuration', () => {
  test('is in force once it is applied, and goes with snapshots once that is reported', () => {
    const stages = new ConfigurationStages(founded);
    expect(stages.after(change([addVoter(4n)]))).toEqual(grown);
    expect(voters(stages)).toEqual(['1,2,3', '1,2,3', '1,2,3']);
    stages.changed(grown);
    expect(voters(stages)).toEqual(['1,2,3,4', '1,2,3,4', '1,2,3']);
    stages.applied();
    expect(voters(stages)).toEqual(['1,2,3,4', '1,2,3,4', '1,2,3,4']);
  });

  test('of a snapshot is in force when it arrives, and of the machine when it is installed', () => {
    const stages = new ConfigurationStages(founded);
    stages.snapshotArrived(snapshotted);
    expect(voters(stages)).toEqual(['1,5,6', '1,2,3', '1,2,3']);
    // An entry from before the snapshot, which was on its way.
    stages.changed(grown);
    stages.applied();
    expect(voters(stages)).toEqual(['1,5,6', '1,2,3,4', '1,2,3,4']);
    stages.snapshotInstalled();
    stages.applied();
    expect(voters(stages)).toEqual(['1,5,6', '1,5,6', '1,5,6']);
    stages.changed(founded);
    expect(voters(stages)).toEqual(['1,2,3', '1,2,3', '1,5,6']);
  });

  test('changes from what the state machine has', () => {
    const stages = new ConfigurationStages(founded);
    stages.snapshotArrived(configurationOf([1n]));
    expect(stages.after(change([remove(1n)]))?.voters).toEqual([2n, 3n]);
    stages.snapshotInstalled();
    // It would leave nobody.
    expect(stages.after(change([remove(1n)]))).toBeUndefined();
  });

  test('of a snapshot that never came is not installed', () => {
    const stages = new ConfigurationStages(founded);
    expect(() => stages.snapshotInstalled()).toThrow(InvariantError);
  });
});
