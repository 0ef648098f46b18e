/**
 * Runs a script against a cluster and writes down everything that members do: the golden traces
 * in test/raft/traces. A script is a list of blocks: command lines, `----`, the expected output.
 *
 *   nodes N [option=value ..]        N voters, ids 1..N
 *   node ID voters=1,2 terms=1,1,2 [term= vote= commit=] [option=value ..]   one, with a log
 *   join ID                          a member that knows nothing
 *   tick ID [N] | campaign ID | propose ID DATA .. | read ID CONTEXT
 *   change ID +V lL -R .. [transition] | leave ID | transfer ID TARGET
 *   gone ID MEMBER | early ID        its process has ended; campaigns for that
 *   compact ID INDEX | unreachable ID MEMBER | snapshot-report ID MEMBER ok|failed
 *   ready ID                         takes one Ready; applies; sends what may be sent at once
 *   persist ID [N]                   makes the oldest N Readys durable (all), sends what waited
 *   deliver [A->B] [N]               delivers what is under way (N messages)
 *   drop A->B                        loses what is under way
 *   duplicate A->B                   doubles what is under way
 *   crash ID                         restarts with what was durable
 *   stabilize [ID ..]                ready, persist, deliver, until nothing happens (among IDs)
 *   status [ID] | progress ID | quiet BLOCK-FREE COMMAND (runs it, shows nothing)
 */

import {
  type ConfigChangeStep,
  type Configuration,
  decodeConfigChange,
  type Entry,
  joiningRestore,
  type Message,
  type Ready,
} from '../../../src/raft/index.js';
import {
  bytes,
  restoreWithTerms,
  TestCluster,
  type TestNode,
  type TestOptions,
  text,
} from './cluster.js';

export class TraceRunner {
  #cluster = new TestCluster(0);
  readonly #applied = new Map<bigint, number>();
  #out: string[] = [];

  /** Runs one command line; returns what it printed. */
  run(line: string): string[] {
    this.#out = [];
    const [command = '', ...args] = line.trim().split(/\s+/);
    if (command === 'quiet') {
      this.#execute(args[0] ?? '', args.slice(1));
      return [];
    }
    this.#execute(command, args);
    return this.#out;
  }

  #execute(command: string, args: readonly string[]): void {
    const [first = ''] = args;
    switch (command) {
      case 'nodes':
        this.#cluster = new TestCluster(Number(first), options(args.slice(1)));
        return;
      case 'node':
        this.#addNode(args);
        return;
      case 'join':
        this.#cluster.add(BigInt(first), joiningRestore());
        return;
      case 'deliver':
      case 'drop':
      case 'duplicate':
        this.#network(command, args);
        return;
      case 'stabilize':
        this.#stabilize(args.map(BigInt));
        return;
      case 'status':
        for (const id of this.#cluster.nodes.keys()) {
          if (first === '' || first === `${id}`) this.#status(id);
        }
        return;
      default:
        this.#onMember(command, BigInt(first), args.slice(1));
    }
  }

  #onMember(command: string, id: bigint, args: readonly string[]): void {
    const node = this.#cluster.node(id);
    const { raft } = node;
    const [first = ''] = args;
    switch (command) {
      case 'tick':
        for (let i = Number(first || 1); i > 0; i -= 1) raft.tick();
        return;
      case 'campaign':
        raft.campaign();
        return;
      case 'gone':
        this.#print(`${id} ${raft.reportGone(BigInt(first)) ? 'lost its leader' : 'follows on'}`);
        return;
      case 'early':
        this.#print(`${id} ${raft.campaignEarly() ? 'campaigns' : 'waits'}`);
        return;
      case 'propose':
        this.#refusal(raft.propose(args.map(bytes)));
        return;
      case 'read':
        this.#refusal(raft.readIndex(Number(first)));
        return;
      case 'change':
        this.#refusal(raft.proposeConfigChange(parseChange(args)));
        return;
      case 'transfer':
        raft.transferLeadership(BigInt(first));
        return;
      case 'compact':
        raft.compact(Number(first));
        return;
      case 'unreachable':
        raft.reportUnreachable(BigInt(first));
        return;
      case 'snapshot-report':
        raft.reportSnapshot(BigInt(first), args[1] === 'ok');
        return;
      case 'ready':
        if (raft.hasReady()) this.#ready(id, node);
        else this.#print(`${id} has nothing`);
        return;
      case 'persist':
        this.#persist(id, node, first === '' ? node.writing.length : Number(first));
        return;
      case 'crash':
        node.restart();
        return;
      case 'progress':
        for (const p of raft.progress()) {
          const kind = p.learner ? ' learner' : '';
          const pending = p.pendingSnapshot > 0 ? ` snapshot=${p.pendingSnapshot}` : '';
          const { matchIndex, nextIndex, inflight } = p;
          const numbers = `match=${matchIndex} next=${nextIndex} inflight=${inflight}`;
          this.#print(`${p.member}: ${p.mode}${kind} ${numbers}${pending}`);
        }
        return;
      default:
        throw new Error(`unknown command ${command}`);
    }
  }

  #print(line: string): void {
    this.#out.push(line);
  }

  #refusal(refused: string | undefined): void {
    if (refused !== undefined) this.#print(`refused: ${refused}`);
  }

  #addNode(args: readonly string[]): void {
    const [id = '', ...rest] = args;
    const values = new Map(rest.map((arg) => arg.split('=') as [string, string]));
    const voters = (values.get('voters') ?? '').split(',').map(BigInt);
    const terms = (values.get('terms') ?? '').split(',').filter(Boolean).map(Number);
    const hardState = {
      ...(values.has('term') ? { term: Number(values.get('term')) } : {}),
      ...(values.has('vote') ? { vote: BigInt(values.get('vote') ?? 0) } : {}),
      ...(values.has('commit') ? { commit: Number(values.get('commit')) } : {}),
    };
    const restore = restoreWithTerms(voters, terms, hardState);
    const own = ['voters', 'terms', 'term', 'vote', 'commit'];
    const tuning = options(rest.filter((arg) => !own.includes(arg.split('=')[0] ?? '')));
    this.#cluster.add(BigInt(id), restore, tuning);
  }

  #status(id: bigint): void {
    const status = this.#cluster.raft(id).status();
    const { role, term, leader, commit, applied, firstIndex, lastIndex, configuration } = status;
    const log = `log=${firstIndex}..${lastIndex} commit=${commit} applied=${applied}`;
    this.#print(`${id} ${role} term=${term} leader=${leader} ${log} ${printConfig(configuration)}`);
  }

  #ready(id: bigint, node: TestNode): void {
    const before = node.raft.status().configuration;
    const ready = node.raft.ready();
    this.#print(`${id} Ready ${ready.sequence}${ready.mustSync ? ' sync' : ''}`);
    for (const line of printReady(ready)) this.#print(`  ${line}`);
    this.#cluster.inbox.push(...ready.messages);
    node.writing.push(ready);
    if (ready.snapshot !== undefined) node.raft.applied(ready.snapshot.index);
    for (const entry of ready.committedEntries) {
      if (entry.type === 'configChange') {
        node.raft.applyConfigChange(decodeConfigChange(entry.data));
      }
      node.raft.applied(entry.index);
    }
    const after = node.raft.status().configuration;
    if (after !== before) this.#print(`  now ${printConfig(after)}`);
    this.#applied.set(id, node.raft.status().applied);
  }

  #persist(id: bigint, node: TestNode, count: number): void {
    const before = node.raft.status();
    const released = node.flush(count);
    this.#cluster.inbox.push(...released);
    const after = node.raft.status();
    if (after.role !== before.role) this.#print(`${id} becomes ${after.role}`);
    if (after.commit !== before.commit) this.#print(`${id} commits ${after.commit}`);
  }

  #network(command: string, args: readonly string[]): void {
    const route = args.find((arg) => arg.includes('->'));
    const count = Number(args.find((arg) => !arg.includes('->')) ?? Number.POSITIVE_INFINITY);
    const matches = (m: Message): boolean => route === undefined || route === `${m.from}->${m.to}`;
    const chosen = this.#cluster.inbox.filter(matches).slice(0, count);
    if (command === 'duplicate') {
      this.#cluster.inbox.push(...chosen);
      return;
    }
    this.#cluster.inbox = this.#cluster.inbox.filter((m) => !chosen.includes(m));
    for (const message of chosen) {
      if (command === 'drop') this.#print(`lost ${printMessage(message)}`);
      else this.#deliver(message);
    }
  }

  #deliver(message: Message): void {
    this.#print(printMessage(message));
    const node = this.#cluster.nodes.get(message.to);
    if (node === undefined) return;
    const before = node.raft.status();
    node.raft.step(message);
    const after = node.raft.status();
    if (after.role !== before.role || after.term !== before.term) {
      this.#print(`  ${message.to} becomes ${after.role} in term ${after.term}`);
    }
  }

  #stabilize(only: readonly bigint[]): void {
    const takesPart = (id: bigint): boolean => only.length === 0 || only.includes(id);
    for (let round = 0; round < 100; round += 1) {
      let quiet = true;
      for (const [id, node] of this.#cluster.nodes) {
        if (!takesPart(id)) continue;
        if (node.raft.hasReady()) {
          quiet = false;
          this.#ready(id, node);
        }
        if (node.writing.length > 0) {
          quiet = false;
          this.#persist(id, node, node.writing.length);
        }
      }
      const due = this.#cluster.inbox.filter((m) => takesPart(m.from) && takesPart(m.to));
      this.#cluster.inbox = this.#cluster.inbox.filter((m) => !due.includes(m));
      for (const message of due) this.#deliver(message);
      if (quiet && due.length === 0) return;
    }
    throw new Error('the cluster does not come to rest');
  }
}

function options(args: readonly string[]): TestOptions {
  return Object.fromEntries(
    args.map((arg) => {
      const [key = '', value = ''] = arg.split('=');
      return [key, value === 'true' || value === 'false' ? value === 'true' : Number(value)];
    }),
  );
}

function parseChange(args: readonly string[]) {
  const steps: ConfigChangeStep[] = [];
  let transition: 'auto' | 'jointImplicit' | 'jointExplicit' = 'auto';
  for (const arg of args) {
    const member = (): bigint => BigInt(arg.slice(1));
    if (arg === 'jointImplicit' || arg === 'jointExplicit') transition = arg;
    else if (arg.startsWith('+')) steps.push({ type: 'addVoter', member: member() });
    else if (arg.startsWith('l')) steps.push({ type: 'addLearner', member: member() });
    else if (arg.startsWith('-')) steps.push({ type: 'remove', member: member() });
  }
  return { steps, transition, context: new Uint8Array(0) };
}

function printConfig(configuration: Configuration): string {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration;
  const parts = [`voters=(${voters.join(' ')})`];
  if (votersOutgoing.length > 0) parts.push(`outgoing=(${votersOutgoing.join(' ')})`);
  if (learners.length > 0) parts.push(`learners=(${learners.join(' ')})`);
  if (learnersNext.length > 0) parts.push(`learnersNext=(${learnersNext.join(' ')})`);
  if (autoLeave) parts.push('autoLeave');
  return parts.join(' ');
}

function printEntry(entry: Entry): string {
  const place = `${entry.index}/${entry.term}`;
  if (entry.type === 'noop') return `${place} noop`;
  if (entry.type === 'normal') return `${place} "${text(entry.data)}"`;
  const { steps, transition } = decodeConfigChange(entry.data);
  const signs = { addVoter: '+', addLearner: 'l', remove: '-' } as const;
  const printed = steps.map(({ type, member }) => `${signs[type]}${member}`).join(' ');
  return `${place} change ${steps.length === 0 ? 'leave' : printed} ${transition}`;
}

function printEntries(entries: readonly Entry[]): string {
  return `[${entries.map(printEntry).join(', ')}]`;
}

function printReady(ready: Ready): string[] {
  const lines: string[] = [];
  const { hardState, snapshot, entries, committedEntries } = ready;
  if (hardState !== undefined) {
    const { term, vote, commit } = hardState;
    lines.push(`hardState term=${term} vote=${vote} commit=${commit}`);
  }
  if (snapshot !== undefined) {
    lines.push(`install ${snapshot.index}/${snapshot.term} ${printConfig(snapshot.configuration)}`);
  }
  if (entries.length > 0) lines.push(`append ${printEntries(entries)}`);
  for (const message of ready.messages) lines.push(`send ${printMessage(message)}`);
  for (const message of ready.messagesAfterPersist) {
    lines.push(`then ${printMessage(message)}`);
  }
  if (committedEntries.length > 0) lines.push(`apply ${printEntries(committedEntries)}`);
  for (const { context, index } of ready.readStates) lines.push(`read ${context} at ${index}`);
  return lines;
}

function printMessage(m: Message): string {
  return `${m.from}->${m.to} ${m.type} term=${m.term} ${printBody(m)}`.trimEnd();
}

function printBody(m: Message): string {
  switch (m.type) {
    case 'AppendEntries': {
      const place = `prev=${m.prevLogIndex}/${m.prevLogTerm}`;
      const answered = m.isNotice === true ? 'notice' : printEntries(m.entries);
      return `${place} commit=${m.leaderCommit} ${answered}`;
    }
    case 'AppendEntriesResponse':
      return m.success
        ? `match=${m.index}`
        : `rejected=${m.index} hint=${m.hintIndex}/${m.hintTerm}`;
    case 'Heartbeat':
      return `commit=${m.commit} read=${m.readSequence}`;
    case 'HeartbeatResponse':
      return `read=${m.readSequence}`;
    case 'RequestVote': {
      const kind = `${m.preVote ? ' preVote' : ''}${m.transfer ? ' transfer' : ''}`;
      return `last=${m.lastLogIndex}/${m.lastLogTerm} commit=${m.commit}/${m.commitTerm}${kind}`;
    }
    case 'RequestVoteResponse': {
      const news = `commit=${m.commit}/${m.commitTerm}`;
      return `${m.granted ? 'granted' : 'refused'}${m.preVote ? ' preVote' : ''} ${news}`;
    }
    case 'InstallSnapshot': {
      const { index, term, configuration } = m.snapshot;
      return `${index}/${term} ${printConfig(configuration)}`;
    }
    case 'ReadIndexRequest':
      return `context=${m.context}`;
    case 'ReadIndexResponse':
      return `context=${m.context} index=${m.index}`;
    case 'ForwardProposal':
      return `[${m.entries.map(({ type, data }) => (type === 'normal' ? `"${text(data)}"` : type)).join(', ')}]`;
    case 'TimeoutNow':
      return '';
  }
}
