/**
 * Holds a written trace of Raft: that each line is of the format (docs/simulation.md), and that the
 * lines fit together. It knows the format by itself, not from the code that writes it.
 */

interface TraceMessage {
  readonly type: string;
  readonly term: number;
  readonly from: string;
  readonly to: string;
  readonly entries: number;
  readonly index: number;
}

export interface TraceLine {
  readonly name: string;
  readonly nid: string;
  readonly state: { readonly term: number; readonly vote: string; readonly commit: number };
  readonly role: string;
  readonly log: number;
  readonly conf: readonly [readonly string[], readonly string[]];
  readonly msg?: TraceMessage;
  readonly prop?: Readonly<Record<string, unknown>>;
}

/** Types of messages that an event may tell of; events that are not here tell of none. */
const messagesOf: Readonly<Record<string, readonly string[]>> = {
  SendAppendEntriesRequest: ['MsgApp', 'MsgHeartbeat', 'MsgSnap'],
  ReceiveAppendEntriesRequest: ['MsgApp', 'MsgHeartbeat', 'MsgSnap'],
  SendAppendEntriesResponse: ['MsgAppResp', 'MsgHeartbeatResp'],
  ReceiveAppendEntriesResponse: ['MsgAppResp', 'MsgHeartbeatResp'],
  SendRequestVoteRequest: ['MsgVote'],
  ReceiveRequestVoteRequest: ['MsgVote'],
  SendRequestVoteResponse: ['MsgVoteResp'],
  ReceiveRequestVoteResponse: ['MsgVoteResp'],
};

const plainEvents = [
  'InitState',
  'BecomeCandidate',
  'BecomeFollower',
  'BecomeLeader',
  'Commit',
  'Replicate',
  'Ready',
];

const head =
  /^\{"level":"debug","ts":(\d{10}\.\d{6}),"msg":"trace","tag":"trace","event":(\{.*\})\}\n$/;
const id = '"(?:0|[1-9]\\d{0,19})"';
const ids = `\\[(?:${id}(?:,${id})*)?\\]`;
const state = `\\{"term":\\d+,"vote":${id},"commit":\\d+\\}`;
const roles = '"State(?:Follower|Candidate|Leader)"';
const front = `"nid":${id},"state":${state},"role":${roles},"log":\\d+,"conf":\\[${ids},${ids}\\]`;
const step = `\\{"nid":${id},"action":"(?:AddNewServer|AddLearner|RemoveServer)"\\}`;
const msgEnd =
  `"term":\\d+,"from":${id},"to":${id},"entries":\\d+,"logTerm":\\d+,"index":\\d+,` +
  '"commit":\\d+,"vote":"0","reject":(?:true|false),"rejectHint":\\d+\\}';

/** The event of each kind, character by character: fields, their order and their types. */
const shapes = new Map<string, RegExp>();
for (const name of plainEvents) shape(name, '');
for (const [name, types] of Object.entries(messagesOf)) {
  shape(name, `,"msg":\\{"type":"(?:${types.join('|')})",${msgEnd}(?:,"prop":\\{[^{}]*\\})?`);
}
shape('ChangeConf', `,"prop":\\{"cc":\\{"changes":\\[${step}(?:,${step})*\\]\\}\\}`);
shape('ApplyConfChange', `,"prop":\\{"cc":\\{(?:"newconf":${ids})?\\}\\}`);

function shape(name: string, rest: string): void {
  shapes.set(name, new RegExp(`^\\{"name":"${name}",${front}${rest}\\}$`));
}

/**
 * All events; throws at the first line that is not of the format. `writers`: several processes
 * wrote these lines, each with a clock of its own.
 */
export function parseTrace(
  lines: readonly string[],
  writers: 'one' | 'each member' = 'one',
): TraceLine[] {
  const lastTs = new Map<string, string>();
  return lines.map((line, i) => {
    const fail = (why: string): Error => new Error(`line ${i + 1}: ${why}: ${line}`);
    const [, ts = '', json = ''] = head.exec(line) ?? [];
    if (json === '') throw fail('no line of a trace');
    const event = JSON.parse(json) as TraceLine;
    const writer = writers === 'one' ? '' : event.nid;
    // Those who read traces sort them as text.
    const before = lastTs.get(writer) ?? '';
    if (ts <= before) throw fail(`ts is not after ${before}`);
    lastTs.set(writer, ts);
    if (shapes.get(event.name)?.test(json) !== true) throw fail(`no ${event.name} of the format`);
    const isProbe = event.name === 'SendAppendEntriesRequest' && event.msg?.type === 'MsgApp';
    const prop = event.msg === undefined ? undefined : event.prop;
    if (Object.keys(prop ?? {}).join() !== (isProbe ? 'match,next' : '')) throw fail('prop');
    return event;
  });
}

/** How a member was last seen, and what it has sent. */
interface Seen {
  last: TraceLine;
  /** The log, if it leads: it grows only by what is told. */
  length: number | undefined;
  /** Sent since the last Ready. */
  unsent: string[];
}

export interface Network {
  /** A message may arrive more than once. */
  readonly repeats?: boolean;
  /** What arrives as a snapshot may be of a later index than what was sent. */
  readonly newerSnapshots?: boolean;
}

/** What in a trace does not fit together; empty is good. */
export function incoherences(events: readonly TraceLine[], network: Network = {}): string[] {
  const problems: string[] = [];
  const seen = new Map<string, Seen>();
  const underWay = new Map<string, number>();
  const leaders = new Map<number, string>();
  events.forEach((event, i) => {
    const say = (why: string): void => void problems.push(`line ${i + 1}: ${event.name}: ${why}`);
    const known = seen.get(event.nid);
    if (event.name === 'InitState' || known === undefined) {
      if (event.name !== 'InitState') say('a member tells something before its start');
      seen.set(event.nid, { last: event, length: undefined, unsent: [] });
      return;
    }
    checkStep(known, event, say);
    checkLog(known, event, say);
    checkMessage(known, event, underWay, network, say);
    if (event.name === 'BecomeLeader') {
      const { term } = event.state;
      if (leaders.has(term)) say(`${leaders.get(term)} leads in term ${term}`);
      leaders.set(term, event.nid);
    }
    known.last = event;
  });
  return problems;
}

const roleAfter: Readonly<Record<string, string>> = {
  BecomeCandidate: 'StateCandidate',
  BecomeFollower: 'StateFollower',
  BecomeLeader: 'StateLeader',
};

function checkStep({ last }: Seen, event: TraceLine, say: (why: string) => void): void {
  const { name, state: now, role, nid } = event;
  const then = last.state;
  if (now.term < then.term) say('the term went down');
  if (now.commit < then.commit) say('the commit index went down');
  if (now.commit > event.log) say('more is committed than there is');
  if (now.term === then.term && then.vote !== '0' && now.vote !== then.vote) say('voted twice');
  if (role !== (roleAfter[name] ?? last.role)) say(`is ${role} after ${last.role}`);
  if (now.term !== then.term && !/^Become(Follower|Candidate)$/.test(name)) say('a new term');
  if (name === 'BecomeCandidate' && now.vote !== nid) say('a candidate votes for itself');
  if (name === 'BecomeLeader' && last.role !== 'StateCandidate') say('it was no candidate');
}

/** Entries of a leader are told one by one, before they are there. */
function checkLog(known: Seen, event: TraceLine, say: (why: string) => void): void {
  const { name, log, role, conf } = event;
  if (role !== 'StateLeader') {
    known.length = undefined;
    return;
  }
  known.length ??= log;
  // That a joint configuration is left is no event of the format.
  if (log === known.length + 1 && conf[1].length > 0) known.length = log;
  // A batch is appended entry by entry.
  if (log !== known.length) say(`the log has ${log} entries, ${known.length} were told`);
  if (name === 'Replicate' || name === 'ChangeConf') known.length += 1;
}

function checkMessage(
  known: Seen,
  event: TraceLine,
  underWay: Map<string, number>,
  network: Network,
  say: (why: string) => void,
): void {
  const { name, nid, msg } = event;
  if (name === 'Ready') {
    for (const key of known.unsent) underWay.set(key, (underWay.get(key) ?? 0) + 1);
    known.unsent = [];
  }
  if (msg === undefined) return;
  const key = JSON.stringify(msg);
  if (name.startsWith('Send')) {
    if (msg.from !== nid) say(`it is from ${msg.from}`);
    known.unsent.push(key);
    return;
  }
  if (msg.to !== nid) say(`it is to ${msg.to}`);
  if (msg.type === 'MsgSnap' && network.newerSnapshots === true) return;
  const count = underWay.get(key) ?? 0;
  if (count === 0) say(`nobody has sent ${key}`);
  else if (network.repeats !== true) underWay.set(key, count - 1);
}
