/**
 * The command line beside etcdctl: one step is told to etcd by etcdctl, to another etcd by us, and
 * to kvorum by us. What all three print must be the same.
 */

import { expect } from 'vitest';
import type { EtcdctlSession, EtcdctlStep } from './etcdctl.js';

/** The first one is the reference. */
export async function compareRuns(
  sessions: readonly EtcdctlSession[],
  step: EtcdctlStep,
): Promise<void> {
  const said = await Promise.all(sessions.map((session) => session.run(step)));
  const [expected, ...ours] = said.map(comparable);
  expect(ours).toEqual(ours.map(() => expected));
}

/**
 * Without what is no output: the notes of etcdctl's own client on what it sends again; and without
 * help, whose words are our own.
 */
export function comparable(transcript: string): string {
  return transcript
    .replace(/^log warn: retrying of unary invoker failed.*\n/gm, '')
    .replace(/^(Error: [^\n]*\n)Usage:[\s\S]*?(?=\n--- exit)/m, '$1<help>')
    .replace(/^(\$ [^\n]*\n)[\s\S]*?\nUsage:\n[\s\S]*?(?=\n--- stderr)/m, '$1<help>');
}
