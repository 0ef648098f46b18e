/** A cluster as commands see it: its members, who of them answers, and what is refused. */

import { EtcdClientError } from '../../src/client/index.js';
import { type ErrorReason, EtcdError } from '../../src/common/index.js';
import type { CommandContext } from '../../src/ctl/command/index.js';
import type { ClusterCalls, Member, MemberStatus } from '../../src/ctl/members/index.js';

export class FakeCluster {
  members: Member[] = [];
  /** Who does not answer. */
  readonly down = new Set<bigint>();
  /** How far behind a learner is. */
  readonly behind = new Map<bigint, number>();
  leader = 1n;
  /** All changes, in order. */
  readonly done: string[] = [];
  /** What the next calls of this name fail with. */
  readonly failures = new Map<string, ErrorReason[]>();
  /** Called at each pause of a command. */
  onSleep = (_pause: number): void => {};
  #pauses = 0;

  constructor(voters: number) {
    for (let id = 1; id <= voters; id += 1) this.put(BigInt(id), `m${id}`);
  }

  put(id: bigint, name: string, isLearner = false, peerUrl = `http://p${id}`): void {
    const clientUrls = name === '' ? [] : [`http://c${id}`];
    this.members.push({ id, name, peerUrls: [peerUrl], clientUrls, isLearner });
  }

  set(id: bigint, change: Partial<Member>): void {
    this.members = this.members.map((one) => (one.id === id ? { ...one, ...change } : one));
  }

  fail(name: string, ...reasons: ErrorReason[]): void {
    this.failures.set(name, reasons);
  }

  readonly calls: ClusterCalls = {
    members: async () => {
      this.#mayFail('members');
      return [...this.members];
    },
    add: async (peerUrls) => {
      this.#mayFail('add');
      const id = BigInt(this.members.length + 10);
      this.put(id, '', true, peerUrls[0]);
      this.done.push(`add ${peerUrls.join()}`);
      return this.members.at(-1) as Member;
    },
    promote: async (id) => {
      this.#mayFail('promote');
      this.set(id, { isLearner: false });
      this.done.push(`promote ${id}`);
    },
    remove: async (id) => {
      this.#mayFail('remove');
      this.members = this.members.filter((one) => one.id !== id);
      this.done.push(`remove ${id}`);
    },
    status: async ({ id, name }): Promise<MemberStatus | undefined> => {
      if (name === '' || this.down.has(id)) return undefined;
      const appliedIndex = 1_000_000 - (this.behind.get(id) ?? 0);
      return { leader: this.leader, raftIndex: 1_000_000, appliedIndex };
    },
    moveLeader: async (_from, to) => {
      this.leader = to;
      this.done.push(`lead ${to}`);
    },
    sleep: async () => {
      this.#pauses += 1;
      this.onSleep(this.#pauses);
    },
  };

  #mayFail(name: string): void {
    const reason = this.failures.get(name)?.shift();
    if (reason === undefined) return;
    const { message } = new EtcdError(reason);
    throw new EtcdClientError({ code: 'UNKNOWN', reason, outcome: 'unknown', message });
  }
}

/** What a command is given, and what it said. */
export function contextOf(more: { readonly answer?: string; readonly json?: boolean } = {}) {
  const said = { out: '', err: '' };
  const interrupt = new AbortController();
  async function* stdin() {
    yield Buffer.from(`${more.answer ?? ''}\n`);
  }
  const io = {
    env: {},
    terminal: { out: false, in: more.answer !== undefined, columns: 80 },
    stdout(text: string): void {
      said.out += text;
    },
    stderr(text: string): void {
      said.err += text;
    },
    stdin: stdin(),
    interrupted: interrupt.signal,
  };
  const global = { 'write-out': more.json === true ? 'json' : 'simple' };
  return { context: { io, global } as unknown as CommandContext, said, interrupt };
}
