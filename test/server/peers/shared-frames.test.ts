/** Followers that keep up share a frame; all others get their own. */

import { describe, expect, it } from 'vitest';
import type { AppendEntries } from '../../../src/raft/index.js';
import { decodeMessage, encodeMessage } from '../../../src/server/peers/codec.js';
import { SharedFrames } from '../../../src/server/peers/shared-frames.js';
import { appendOf, heartbeat } from './messages.js';

describe('a frame of entries', () => {
  const message = appendOf(1n, 2n, 10, 3, 50);
  const toOther: AppendEntries = { ...message, to: 3n, entries: [...message.entries] };

  it('is one for all that are sent the same', () => {
    const frames = new SharedFrames();
    const next = appendOf(1n, 2n, 13, 2, 50);
    const first = frames.encode(message, true, true);
    const second = frames.encode(next, true, true);
    expect(frames.encode(toOther, true, true)).toBe(first);
    expect(frames.encode({ ...next, to: 3n }, true, true)).toBe(second);
    expect(decodeMessage(first, 1n, 3n)).toEqual(toOther);
  });

  it('is not shared by what differs in anything', () => {
    const { entries, leaderCommit, prevLogIndex, prevLogTerm, term } = toOther;
    const copy = entries.map((entry) => ({ ...entry }));
    const different: readonly AppendEntries[] = [
      { ...toOther, term: term + 1 },
      { ...toOther, leaderCommit: leaderCommit + 1 },
      { ...toOther, prevLogTerm: prevLogTerm - 1 },
      { ...toOther, entries: entries.slice(0, 2) },
      { ...toOther, prevLogIndex: prevLogIndex + 1, entries: entries.slice(1) },
      { ...toOther, entries: copy },
      { ...toOther, entries: [] },
    ];
    for (const other of different) {
      const frames = new SharedFrames();
      const first = frames.encode(message, true, true);
      const frame = frames.encode(other, true, true);
      expect(frame).not.toBe(first);
      expect(frame.equals(encodeMessage(other))).toBe(true);
    }
  });

  it('is forgotten with its round, and other messages have none', () => {
    const frames = new SharedFrames();
    const first = frames.encode(message, true, true);
    const beat = frames.encode(heartbeat(1n, 2n, 1), true, true);
    expect(frames.encode(heartbeat(1n, 2n, 1), true, true)).not.toBe(beat);
    expect(frames.encode(toOther, true, true)).toBe(first);
    frames.forget();
    expect(frames.encode(toOther, true, true)).not.toBe(first);
  });
});
