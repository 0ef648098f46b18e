/**
 * Changes of the members: added, removed, and replaced when a disk is lost or damaged. At most one
 * at a time, and never so many disks lost that a majority would be gone.
 */

import {
  memberAddRequest,
  memberListRequest,
  memberListResponse,
  memberPromoteRequest,
  memberRemoveRequest,
  type ProtoMember,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import type { Outcome } from '../helpers/in-process-call.js';
import { callWithin } from './kv-client.js';
import type { SimMachine, SimProcess } from './machine.js';
import type { FaultKind } from './schedule.js';
import type { World } from './world.js';

/** Looks for a member that can answer this often, and then gives up. */
const triesMax = 100;

export class MemberChanges {
  readonly #world: World;
  #busy = false;
  readonly counts = { added: 0, removed: 0, promoted: 0, readers: 0, readersAsked: 0 };

  constructor(world: World) {
    this.#world = world;
  }

  get busy(): boolean {
    return this.#busy;
  }

  change(kind: FaultKind, random: SimRandom): string | undefined {
    const world = this.#world;
    const whole = world.machines.filter(({ retired }) => !retired);
    if (this.#busy) return undefined;
    const victim = random.pick(whole);
    const id = victim.process?.isOpen === true ? victim.process.node.memberId : undefined;
    const canGo = victim.isReader || this.#canLose(whole.filter(({ isReader }) => !isReader));
    if (kind !== 'add member' && (id === undefined || !canGo)) return undefined;
    if (kind === 'add member' && whole.length >= 7) return undefined;
    this.#busy = true;
    this.#run(kind, victim, id ?? 0n, random).finally(() => {
      this.#busy = false;
    });
    return kind === 'add member' ? `to ${whole.length}` : victim.name;
  }

  /** The others are a majority of the voters, and none of them is on its way in or out. */
  #canLose(whole: readonly SimMachine[]): boolean {
    const configuration = this.#world.leader()?.node.raft.status().configuration;
    if (configuration === undefined) return false;
    const { voters, votersOutgoing, learners } = configuration;
    const readers = this.#world.machines.filter(({ isReader }) => isReader);
    const readerIds = new Set(readers.map(({ process }) => this.#idOf(process)));
    const isChanging = votersOutgoing.length > 0 || !learners.every((id) => readerIds.has(id));
    if (isChanging || voters.length < 3) return false;
    const there = whole.filter(({ process }) => process?.isOpen === true);
    const ids = new Set(there.map(({ process }) => process?.node.memberId));
    return whole.length === voters.length && voters.every((voter) => ids.has(voter));
  }

  #idOf(process: SimProcess | undefined): bigint | undefined {
    return process?.isOpen === true ? process.node.memberId : undefined;
  }

  async #run(kind: FaultKind, victim: SimMachine, id: bigint, random: SimRandom): Promise<void> {
    const world = this.#world;
    if (kind === 'wipe' || kind === 'bit flip') {
      if (kind === 'wipe') victim.wipe();
      else if (!this.#damage(victim, random)) {
        world.startNow(victim);
        return;
      }
      victim.damaged = kind;
      // It comes back under its old id, and must not count.
      if (random.chance(0.7)) {
        world.startNow(victim);
        await world.sleep(world.knobs.electionMs * 3);
      }
    }
    victim.removalAsked = kind !== 'add member';
    if (kind === 'remove member') {
      if (await this.#remove(id)) this.#retire(victim);
      return;
    }
    if (kind === 'add member') {
      await this.#add(random);
      return;
    }
    this.#retire(victim);
    if (await this.#remove(id)) await this.#add(random);
  }

  /**
   * Flips one bit at rest: in the log, often in the last record that nothing follows, or in a
   * record of the store.
   */
  #damage(victim: SimMachine, random: SimRandom): boolean {
    victim.kill();
    const { disk, kvDisk } = victim;
    const files = disk.tree('/data').map(([path]) => path);
    if (random.chance(0.5)) {
      const stores = files.filter((path) => path.endsWith('/CURRENT'));
      const dir = stores.length === 0 ? '' : random.pick(stores).slice(0, -'/CURRENT'.length);
      const keys = dir === '' ? [] : kvDisk.keys(dir);
      return keys.length > 0 && kvDisk.flipBit(dir, random.pick(keys), random.below(8 * 64));
    }
    const logs = files.filter((path) => path.endsWith('.wal') && usedBytes(disk.peek(path)) > 4096);
    if (logs.length === 0) return false;
    const path = random.pick(logs);
    const used = usedBytes(disk.peek(path));
    const from = random.chance(0.5) ? used - 300 : 0;
    disk.flipBit(path, from + random.below(used - from), random.below(8));
    return true;
  }

  #retire(machine: SimMachine): void {
    machine.retired = true;
    // one that is removed may stay a while and must not disturb.
    this.#world.later(this.#world.knobs.electionMs * 4, () => machine.kill());
  }

  async #remove(id: bigint): Promise<boolean> {
    const bytes = memberRemoveRequest.encode({ id });
    const done = await this.#ask('MemberRemove', bytes, id);
    if (done === undefined) return false;
    this.counts.removed += 1;
    return true;
  }

  /** A new machine: as a learner first, which may stay one, or as a voter at once. */
  async #add(random: SimRandom): Promise<void> {
    const world = this.#world;
    const machine = world.newMachine();
    const isLearner = random.chance(0.6);
    const hasReader = world.machines.some(({ isReader, retired }) => isReader && !retired);
    machine.isReader = isLearner && !hasReader && random.chance(0.4);
    const bytes = memberAddRequest.encode({ peerUrls: [machine.peerUrl], isLearner });
    const members = await this.#addUntilListed(bytes, machine.peerUrl);
    const member = members?.find(({ peerUrls }) => peerUrls.includes(machine.peerUrl));
    if (members === undefined || member === undefined) {
      world.forget(machine);
      return;
    }
    this.counts.added += 1;
    this.#join(machine, member.id, members);
    if (!isLearner) return;
    const promote = memberPromoteRequest.encode({ id: member.id });
    if (machine.isReader) {
      this.counts.readers += 1;
      await this.#askInVain(machine, promote);
      return;
    }
    // Where the leader does it by itself, some ask all the same.
    if (world.knobs.autoPromote && random.chance(0.7)) {
      if (await this.#promotedByItself(machine)) this.counts.promoted += 1;
      return;
    }
    if ((await this.#ask('MemberPromote', promote, 0n)) !== undefined) this.counts.promoted += 1;
  }

  /** Once it has said what it is, nobody can make a voter of it. */
  async #askInVain(machine: SimMachine, promote: Buffer): Promise<void> {
    let isKnown = false;
    for (let i = 0; i < triesMax && !isKnown && !machine.retired; i += 1) {
      isKnown = (await this.#listed(machine))?.name !== undefined;
    }
    for (let i = 0; i < 5 && isKnown && !machine.retired; i += 1) {
      const outcome = await this.#once('MemberPromote', promote, 0n);
      if (outcome?.ok !== false) continue;
      if (outcome.text.startsWith('kvorum: a read-only member')) this.counts.readersAsked += 1;
    }
  }

  async #promotedByItself(machine: SimMachine): Promise<boolean> {
    for (let i = 0; i < triesMax && !machine.retired; i += 1) {
      if ((await this.#listed(machine))?.isLearner === false) return true;
    }
    return false;
  }

  /** As some member that has started has it; one without a name has not told it yet. */
  async #listed(machine: SimMachine): Promise<ProtoMember | undefined> {
    const list = await this.#once('MemberList', memberListRequest.encode({}), 0n);
    if (list?.ok !== true) return undefined;
    const { members } = memberListResponse.decode(list.message);
    return members.find(({ name, peerUrls }) => name !== '' && peerUrls.includes(machine.peerUrl));
  }

  /** Starts it with the members that there are. */
  #join(machine: SimMachine, id: bigint, members: readonly ProtoMember[]): void {
    const cluster = members.map((member) => {
      const name = member.id === id ? machine.name : member.name || `n${member.id.toString(16)}`;
      return `${name}=${member.peerUrls[0]}`;
    });
    this.#world.join(machine, id, cluster.join());
  }

  /** With a list that is newer than the one before. */
  async rejoin(machine: SimMachine): Promise<void> {
    for (let i = 0; i < triesMax && !machine.retired; i += 1) {
      const list = await this.#once('MemberList', memberListRequest.encode({}), 0n);
      if (list?.ok !== true) continue;
      const { members } = memberListResponse.decode(list.message);
      const member = members.find(({ peerUrls }) => peerUrls.includes(machine.peerUrl));
      if (member === undefined) continue;
      this.#join(machine, member.id, members);
      return;
    }
  }

  /**
   * The answer to an addition that was done may be lost, and the cluster then wait for the new
   * member in order to go on: what any member says of itself must do.
   */
  async #addUntilListed(
    bytes: Buffer,
    peerUrl: string,
  ): Promise<readonly ProtoMember[] | undefined> {
    for (let i = 0; i < triesMax; i += 1) {
      let list: Outcome | undefined;
      // One who is killed again and again may not serve for long, and have added it before.
      while (list === undefined) {
        list = await this.#once('MemberList', memberListRequest.encode({}), 0n);
      }
      if (list.ok) {
        const { members } = memberListResponse.decode(list.message);
        if (members.some(({ peerUrls }) => peerUrls.includes(peerUrl))) return members;
      }
      await this.#once('MemberAdd', bytes, 0n);
    }
    return undefined;
  }

  /** Asks one member after the other until one says yes. */
  async #ask(name: string, bytes: Buffer, not: bigint): Promise<Buffer | undefined> {
    for (let i = 0; i < triesMax; i += 1) {
      const outcome = await this.#once(name, bytes, not);
      if (outcome?.ok === true) return outcome.message;
      // An earlier try was done though nobody said so.
      const text = outcome?.text ?? '';
      const isDone = name === 'MemberRemove' ? /not found/ : /only promote a learner/;
      if (isDone.test(text)) return Buffer.alloc(0);
    }
    return undefined;
  }

  async #once(name: string, bytes: Buffer, not: bigint): Promise<Outcome | undefined> {
    const world = this.#world;
    await world.sleep(world.knobs.electionMs);
    const process = world.anyServing(world.random);
    if (process === undefined || process.node.memberId === not) return undefined;
    const path = `/etcdserverpb.Cluster/${name}`;
    const outcome = await callWithin(world, process, path, bytes, world.knobs.electionMs * 5);
    const text = outcome?.ok === false ? outcome.text : outcome?.ok;
    world.trace.add(`${name} by ${process.name}: ${text}`);
    return outcome;
  }
}

/** Without the zeros at the end. */
function usedBytes(file: Buffer): number {
  let end = file.length;
  while (end > 0 && file[end - 1] === 0) end -= 1;
  return end;
}
