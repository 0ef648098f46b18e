/**
 * Raft messages as bytes and back. The layout is our own: the hot message, entries, is a copy of
 * the data and a few stores for each entry (against msgpackr: docs/adr/0005-peer-frames.md). Who
 * sends and who receives is not in the bytes, because a link is between two members and was checked
 * when it was opened: a frame can't claim to come from somebody else.
 *
 * Body, after the head of frame.ts: term u64, then by kind
 *   AppendEntries          prevLogIndex, prevLogTerm, leaderCommit u64, count u32,
 *                          count times (term u64, length u32, type u8), then the data in a row;
 *                          flag 1: isNotice
 *   AppendEntriesResponse  index, hintIndex, hintTerm u64; flag 1: success
 *   Heartbeat              commit, readSequence u64; with flag 1 clockMs u64
 *   HeartbeatResponse      readSequence u64
 *   RequestVote            lastLogIndex, lastLogTerm, commit, commitTerm u64;
 *                          flags 1: preVote, 2: transfer
 *   RequestVoteResponse    commit, commitTerm u64; flags 1: preVote, 2: granted
 *   InstallSnapshot        index, term u64, four counts u32, then the ids u64; flag 1: autoLeave
 *   ReadIndexRequest       context u64
 *   ReadIndexResponse      context, index u64
 *   TimeoutNow             nothing
 *   ForwardProposal        with flag 1 clockMs u64; count u32, count times (length u32, type u8),
 *                          then the data in a row
 *
 * Versions before the clocks, or before notices, take no frame with one: their welcome says so
 * (link-frames.ts). To them a notice is an AppendEntries that they answer.
 *
 * Decoding trusts nothing: what is not exactly as above is a {@link FrameError}. Entries must
 * follow each other and their terms must not fall or exceed that of the message, as in any log.
 */

import {
  assert,
  emptyBytes,
  type LogIndex,
  type MemberId,
  safeIntegerMax,
  type Term,
} from '../../common/index.js';
import type {
  AppendEntries,
  Configuration,
  Entry,
  EntryType,
  ForwardProposal,
  InstallSnapshot,
  Message,
} from '../../raft/index.js';
import {
  checkFrame,
  expectLength,
  FrameError,
  frameHeadBytes,
  newFrame,
  readU32,
  readU64,
  sealFrame,
  writeU32,
  writeU64,
} from './frame.js';

const kindAppend = 1;
const kindAppendResponse = 2;
const kindHeartbeat = 3;
const kindHeartbeatResponse = 4;
const kindVote = 5;
const kindVoteResponse = 6;
const kindInstall = 7;
const kindReadIndex = 8;
const kindReadIndexResponse = 9;
const kindTimeoutNow = 10;
const kindForward = 11;

/** All frames of Raft messages begin with head and term. */
const fixedAt = frameHeadBytes + 8;
const appendFixedBytes = 28;
const appendEntryBytes = 13;
const forwardEntryBytes = 5;
const installFixedBytes = 32;

const normal = 0;
const configChange = 1;
const noop = 2;

/**
 * True for what goes on the lane of entries: what may be long. Proposals, too: they go from
 * followers to the leader, where that lane has nothing else to do.
 */
export function isBulk(message: Message): boolean {
  if (message.type === 'AppendEntries') return message.entries.length > 0;
  return message.type === 'ForwardProposal';
}

/**
 * The frame of a message, in a new buffer; `withClocks`, `withNotices` false: for a member that
 * takes none.
 */
export function encodeMessage(message: Message, withClocks = true, withNotices = true): Buffer {
  switch (message.type) {
    case 'AppendEntries':
      return encodeAppend(message, withNotices);
    case 'AppendEntriesResponse': {
      const { success, index, hintIndex, hintTerm } = message;
      return fixed(message, kindAppendResponse, success ? 1 : 0, [index, hintIndex, hintTerm]);
    }
    case 'Heartbeat': {
      const { clockMs, commit, readSequence } = message;
      if (clockMs === undefined || !withClocks) {
        return fixed(message, kindHeartbeat, 0, [commit, readSequence]);
      }
      return fixed(message, kindHeartbeat, 1, [commit, readSequence, clockMs]);
    }
    case 'HeartbeatResponse':
      return fixed(message, kindHeartbeatResponse, 0, [message.readSequence]);
    case 'RequestVote': {
      const { lastLogIndex, lastLogTerm, commit, commitTerm, preVote, transfer } = message;
      const flags = (preVote ? 1 : 0) | (transfer ? 2 : 0);
      return fixed(message, kindVote, flags, [lastLogIndex, lastLogTerm, commit, commitTerm]);
    }
    case 'RequestVoteResponse': {
      const { commit, commitTerm, preVote, granted } = message;
      const flags = (preVote ? 1 : 0) | (granted ? 2 : 0);
      return fixed(message, kindVoteResponse, flags, [commit, commitTerm]);
    }
    case 'InstallSnapshot':
      return encodeInstall(message);
    case 'ReadIndexRequest':
      return fixed(message, kindReadIndex, 0, [message.context]);
    case 'ReadIndexResponse':
      return fixed(message, kindReadIndexResponse, 0, [message.context, message.index]);
    case 'TimeoutNow':
      return fixed(message, kindTimeoutNow, 0, []);
    case 'ForwardProposal':
      return encodeForward(message, withClocks);
  }
}

/**
 * The message in `frame`, which is only borrowed: data are copied out of it, once and together.
 * Throws {@link FrameError}.
 */
export function decodeMessage(frame: Buffer, from: MemberId, to: MemberId): Message {
  checkFrame(frame);
  if (frame.length < fixedAt) throw new FrameError(`a frame of ${frame.length} bytes`);
  const term = readU64(frame, frameHeadBytes);
  const kind = frame[5] as number;
  switch (kind) {
    case kindAppend:
      return decodeAppend(frame, from, to, term);
    case kindAppendResponse: {
      const [index, hintIndex, hintTerm] = threeNumbers(frame);
      const success = flagsOf(frame, 1) === 1;
      const type = 'AppendEntriesResponse';
      return { type, from, to, term, success, index, hintIndex, hintTerm };
    }
    case kindHeartbeat: {
      const type = 'Heartbeat';
      if (flagsOf(frame, 1) === 0) {
        const [commit, readSequence] = twoNumbers(frame);
        return { type, from, to, term, commit, readSequence };
      }
      const [commit, readSequence, clockMs] = threeNumbers(frame);
      return { type, from, to, term, commit, readSequence, clockMs };
    }
    case kindHeartbeatResponse:
      flagsOf(frame, 0);
      return { type: 'HeartbeatResponse', from, to, term, readSequence: oneNumber(frame) };
    case kindVote:
    case kindVoteResponse:
      return decodeVote(frame, kind, from, to, term);
    case kindInstall:
      return decodeInstall(frame, from, to, term);
    case kindReadIndex:
      flagsOf(frame, 0);
      return { type: 'ReadIndexRequest', from, to, term, context: oneNumber(frame) };
    case kindReadIndexResponse: {
      const [context, index] = twoNumbers(frame);
      flagsOf(frame, 0);
      return { type: 'ReadIndexResponse', from, to, term, context, index };
    }
    case kindTimeoutNow:
      flagsOf(frame, 0);
      expectLength(frame, fixedAt);
      return { type: 'TimeoutNow', from, to, term };
    case kindForward:
      return decodeForward(frame, from, to, term);
    default:
      throw new FrameError(`unknown kind of message ${kind}`);
  }
}

// ------------------------------------------------------------------- messages of fixed length

function fixed(message: Message, kind: number, flags: number, numbers: readonly number[]): Buffer {
  const frame = newFrame(kind, flags, fixedAt + 8 * numbers.length);
  putNumber(frame, frameHeadBytes, message.term);
  for (let i = 0; i < numbers.length; i++) {
    putNumber(frame, fixedAt + 8 * i, numbers[i] as number);
  }
  return sealFrame(frame);
}

function putNumber(frame: Buffer, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'a Raft message holds no safe integer');
  writeU64(frame, at, value);
}

function flagsOf(frame: Buffer, allowed: number): number {
  const flags = frame[6] as number;
  if ((flags & ~allowed) !== 0) throw new FrameError(`unknown flags ${flags}`);
  return flags;
}

function oneNumber(frame: Buffer): number {
  expectLength(frame, fixedAt + 8);
  return readU64(frame, fixedAt);
}

function twoNumbers(frame: Buffer): readonly [number, number] {
  expectLength(frame, fixedAt + 16);
  return [readU64(frame, fixedAt), readU64(frame, fixedAt + 8)];
}

function threeNumbers(frame: Buffer): readonly [number, number, number] {
  expectLength(frame, fixedAt + 24);
  return [readU64(frame, fixedAt), readU64(frame, fixedAt + 8), readU64(frame, fixedAt + 16)];
}

function decodeVote(
  frame: Buffer,
  kind: number,
  from: MemberId,
  to: MemberId,
  term: Term,
): Message {
  const flags = flagsOf(frame, 3);
  const preVote = (flags & 1) !== 0;
  const second = (flags & 2) !== 0;
  if (kind === kindVoteResponse) {
    const [commit, commitTerm] = twoNumbers(frame);
    const type = 'RequestVoteResponse';
    return { type, from, to, term, preVote, granted: second, commit, commitTerm };
  }
  expectLength(frame, fixedAt + 32);
  return {
    type: 'RequestVote',
    from,
    to,
    term,
    lastLogIndex: readU64(frame, fixedAt),
    lastLogTerm: readU64(frame, fixedAt + 8),
    commit: readU64(frame, fixedAt + 16),
    commitTerm: readU64(frame, fixedAt + 24),
    preVote,
    transfer: second,
  };
}

// ------------------------------------------------------------------------------------- entries

function encodeAppend(message: AppendEntries, withNotices: boolean): Buffer {
  const { entries, prevLogIndex } = message;
  const flags = withNotices && message.isNotice === true ? 1 : 0;
  const count = entries.length;
  let dataBytes = 0;
  for (let i = 0; i < count; i++) dataBytes += (entries[i] as Entry).data.length;
  let at = fixedAt + appendFixedBytes;
  let dataAt = at + count * appendEntryBytes;
  const frame = newFrame(kindAppend, flags, dataAt + dataBytes);
  putNumber(frame, frameHeadBytes, message.term);
  putNumber(frame, fixedAt, prevLogIndex);
  putNumber(frame, fixedAt + 8, message.prevLogTerm);
  putNumber(frame, fixedAt + 16, message.leaderCommit);
  writeU32(frame, fixedAt + 24, count);
  for (let i = 0; i < count; i++) {
    const entry = entries[i] as Entry;
    assert(entry.index === prevLogIndex + 1 + i, 'entries of a message do not follow each other');
    const { data } = entry;
    writeU64(frame, at, entry.term);
    writeU32(frame, at + 8, data.length);
    frame[at + 12] = typeCode(entry.type);
    at += appendEntryBytes;
    frame.set(data, dataAt);
    dataAt += data.length;
  }
  return sealFrame(frame);
}

function decodeAppend(frame: Buffer, from: MemberId, to: MemberId, term: Term): AppendEntries {
  const isNotice = flagsOf(frame, 1) === 1;
  const headEnd = fixedAt + appendFixedBytes;
  if (frame.length < headEnd) throw new FrameError('entries without a head');
  const prevLogIndex: LogIndex = readU64(frame, fixedAt);
  const prevLogTerm: Term = readU64(frame, fixedAt + 8);
  const leaderCommit: LogIndex = readU64(frame, fixedAt + 16);
  const count = readU32(frame, fixedAt + 24);
  if (prevLogIndex + count > safeIntegerMax) throw new FrameError('an index above 2^53');
  const data = dataOf(frame, headEnd, count, appendEntryBytes);
  const entries: Entry[] = [];
  let at = headEnd;
  let dataAt = 0;
  let lastTerm = prevLogTerm;
  for (let i = 0; i < count; i++) {
    const entryTerm = readU64(frame, at);
    if (entryTerm < lastTerm || entryTerm > term) throw new FrameError('terms out of order');
    lastTerm = entryTerm;
    const end = dataAt + readU32(frame, at + 8);
    if (end > data.length) throw new FrameError('entries longer than their frame');
    const type = typeOf(frame[at + 12] as number);
    const index = prevLogIndex + 1 + i;
    entries.push({ index, term: entryTerm, type, data: piece(data, dataAt, end) });
    dataAt = end;
    at += appendEntryBytes;
  }
  if (dataAt !== data.length) throw new FrameError('bytes behind the last entry');
  const type = 'AppendEntries';
  if (isNotice && count > 0) throw new FrameError('a notice with entries');
  if (!isNotice) {
    return { type, from, to, term, prevLogIndex, prevLogTerm, entries, leaderCommit };
  }
  return { type, from, to, term, prevLogIndex, prevLogTerm, entries, leaderCommit, isNotice };
}

function encodeForward(message: ForwardProposal, withClocks: boolean): Buffer {
  const { entries } = message;
  const clockMs = withClocks ? message.clockMs : undefined;
  const count = entries.length;
  let dataBytes = 0;
  for (const { data } of entries) dataBytes += data.length;
  const countAt = clockMs === undefined ? fixedAt : fixedAt + 8;
  let at = countAt + 4;
  let dataAt = at + count * forwardEntryBytes;
  const frame = newFrame(kindForward, clockMs === undefined ? 0 : 1, dataAt + dataBytes);
  putNumber(frame, frameHeadBytes, message.term);
  if (clockMs !== undefined) putNumber(frame, fixedAt, clockMs);
  writeU32(frame, countAt, count);
  for (const { type, data } of entries) {
    writeU32(frame, at, data.length);
    frame[at + 4] = typeCode(type);
    at += forwardEntryBytes;
    frame.set(data, dataAt);
    dataAt += data.length;
  }
  return sealFrame(frame);
}

function decodeForward(frame: Buffer, from: MemberId, to: MemberId, term: Term): ForwardProposal {
  const hasClock = flagsOf(frame, 1) === 1;
  const countAt = hasClock ? fixedAt + 8 : fixedAt;
  const headEnd = countAt + 4;
  if (frame.length < headEnd) throw new FrameError('proposals without a head');
  const clock = hasClock ? { clockMs: readU64(frame, fixedAt) } : {};
  const count = readU32(frame, countAt);
  const data = dataOf(frame, headEnd, count, forwardEntryBytes);
  const entries: Array<{ readonly type: EntryType; readonly data: Uint8Array }> = [];
  let at = headEnd;
  let dataAt = 0;
  for (let i = 0; i < count; i++) {
    const end = dataAt + readU32(frame, at);
    if (end > data.length) throw new FrameError('proposals longer than their frame');
    entries.push({ type: typeOf(frame[at + 4] as number), data: piece(data, dataAt, end) });
    dataAt = end;
    at += forwardEntryBytes;
  }
  if (dataAt !== data.length) throw new FrameError('bytes behind the last proposal');
  return { type: 'ForwardProposal', from, to, term, ...clock, entries };
}

/**
 * What is behind the heads, as one copy that all entries of the message share: one copy for each of
 * them costs four times as much, and they leave the log together anyway.
 */
function dataOf(frame: Buffer, headEnd: number, count: number, headBytes: number): Buffer {
  const start = headEnd + count * headBytes;
  if (start > frame.length) throw new FrameError(`${count} entries in ${frame.length} bytes`);
  const length = frame.length - start;
  if (length === 0) return emptyBytes;
  const data = Buffer.allocUnsafe(length);
  frame.copy(data, 0, start);
  return data;
}

function piece(data: Buffer, start: number, end: number): Buffer {
  return start === end ? emptyBytes : data.subarray(start, end);
}

function typeCode(type: EntryType): number {
  if (type === 'normal') return normal;
  return type === 'noop' ? noop : configChange;
}

function typeOf(code: number): EntryType {
  if (code === normal) return 'normal';
  if (code === noop) return 'noop';
  if (code === configChange) return 'configChange';
  throw new FrameError(`unknown type of entry ${code}`);
}

// ------------------------------------------------------------------------------------ snapshot

function encodeInstall(message: InstallSnapshot): Buffer {
  const { index, term, configuration } = message.snapshot;
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration;
  const groups = [voters, votersOutgoing, learners, learnersNext];
  const ids = groups.flat();
  const idsAt = fixedAt + installFixedBytes;
  const frame = newFrame(kindInstall, autoLeave ? 1 : 0, idsAt + 8 * ids.length);
  putNumber(frame, frameHeadBytes, message.term);
  putNumber(frame, fixedAt, index);
  putNumber(frame, fixedAt + 8, term);
  for (const [i, group] of groups.entries()) writeU32(frame, fixedAt + 16 + 4 * i, group.length);
  for (const [i, id] of ids.entries()) frame.writeBigUInt64LE(id, idsAt + 8 * i);
  return sealFrame(frame);
}

function decodeInstall(frame: Buffer, from: MemberId, to: MemberId, term: Term): InstallSnapshot {
  const autoLeave = flagsOf(frame, 1) === 1;
  let at = fixedAt + installFixedBytes;
  if (frame.length < at) throw new FrameError('a snapshot without a head');
  const index: LogIndex = readU64(frame, fixedAt);
  const snapshotTerm: Term = readU64(frame, fixedAt + 8);
  if (snapshotTerm > term) throw new FrameError('terms out of order');
  const groups: MemberId[][] = [];
  for (let i = 0; i < 4; i++) {
    const count = readU32(frame, fixedAt + 16 + 4 * i);
    if (count > (frame.length - at) / 8) throw new FrameError('more members than bytes');
    const group: MemberId[] = [];
    for (let k = 0; k < count; k++, at += 8) group.push(frame.readBigUInt64LE(at));
    groups.push(group);
  }
  expectLength(frame, at);
  const [voters = [], votersOutgoing = [], learners = [], learnersNext = []] = groups;
  const configuration: Configuration = {
    voters,
    votersOutgoing,
    learners,
    learnersNext,
    autoLeave,
  };
  const snapshot = { index, term: snapshotTerm, configuration };
  return { type: 'InstallSnapshot', from, to, term, snapshot };
}
