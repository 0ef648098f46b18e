/** `--raft-trace-file`: what the Raft of real members writes about itself. */

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { initialRestore, Raft } from '../../src/raft/index.js';
import { defaultConfig } from '../../src/server/options/config.js';
import { openRaftTrace } from '../../src/server/platform/raft-trace.js';
import { startCluster, startKvorum } from '../helpers/server.js';
import { defaultOptions } from '../raft/support/cluster.js';
import { incoherences, parseTrace } from '../raft/support/trace-check.js';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'kvorum-raft-trace-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function linesOf(file: string): string[] {
  return readFileSync(file, 'utf8').match(/.*\n/g) ?? [];
}

describe('the file of a trace', () => {
  it('has a line as soon as something has happened, after what was there', () => {
    const file = join(dir, 'appended');
    writeFileSync(file, 'what was there\n');
    const { tracer, close } = openRaftTrace(file, silentLogger);
    const randomU32 = () => 1;
    const raft = new Raft({ ...defaultOptions, id: 1n, randomU32, tracer }, initialRestore([1n]));
    const [before, ...after] = linesOf(file);
    expect(before).toBe('what was there\n');
    expect(parseTrace(after).map(({ name }) => name)).toEqual(['InitState']);
    raft.campaign();
    expect(parseTrace(linesOf(file).slice(1)).map(({ name }) => name)).toEqual([
      'InitState',
      'BecomeCandidate',
      'SendRequestVoteResponse',
    ]);
    close();
    raft.campaign();
    expect(linesOf(file)).toHaveLength(4);
  });

  it('is for the owner alone, and must be one that can be opened', () => {
    const file = join(dir, 'own');
    openRaftTrace(file, silentLogger).close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(() => openRaftTrace(join(dir, 'no', 'such'), silentLogger)).toThrow('ENOENT');
  });

  it('is none by default', () => {
    expect(defaultConfig().raftTraceFile).toBe('');
    expect(defaultConfig('--raft-trace-file', '/tmp/x').raftTraceFile).toBe('/tmp/x');
  });
});

describe('three members with one file', () => {
  it('write one trace that fits together', { timeout: 120_000 }, async () => {
    const file = join(dir, 'shared');
    const members = await startCluster('kvorum', 3, { args: ['--raft-trace-file', file] });
    await Promise.all(members.map((member) => member.dispose()));
    const events = parseTrace(linesOf(file), 'each member');
    expect(new Set(events.map(({ nid }) => nid)).size).toBe(3);
    expect(events.filter(({ name }) => name === 'BecomeLeader').length).toBeGreaterThan(0);
    expect(events.filter(({ name }) => name === 'Replicate').length).toBeGreaterThan(0);
    expect(incoherences(events)).toEqual([]);
  });

  it('goes on where a member that is killed left off', { timeout: 120_000 }, async () => {
    const file = join(dir, 'restarted');
    const member = await startKvorum({ args: ['--raft-trace-file', file] });
    await member.kill();
    const before = linesOf(file);
    await member.start();
    await member.dispose();
    const lines = linesOf(file);
    expect(lines.slice(0, before.length)).toEqual(before);
    const events = parseTrace(lines);
    expect(events.filter(({ name }) => name === 'InitState')).toHaveLength(2);
    expect(incoherences(events)).toEqual([]);
  });
});
