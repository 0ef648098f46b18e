/**
 * As etcdctl-compare.test.ts, with three members of each: the same script through a follower, and
 * the commands that only make sense with several members. Each step must print the same on both.
 *
 * KVORUM_TEST_TARGET=etcd compares two clusters of etcd.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { targetEtcdProgram, targetKind, targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';
import { alarmSteps } from './etcdctl/alarm-steps.js';
import { ShownCluster } from './etcdctl/cluster.js';
import { compareStep, compareTranscripts, nameOf, type Sessions } from './etcdctl/compare.js';
import { type MemberStep, memberSteps } from './etcdctl/member-steps.js';
import { campaign, contend, hashes, raiseNoSpace, saveSnapshot } from './etcdctl/scenes.js';
import { script } from './etcdctl/steps.js';

describeWith(['etcd', 'etcdctl', targetTool], 'etcdctl and clusters of three', () => {
  let clusters: readonly ShownCluster[] = [];
  let sessions: Sessions;

  beforeAll(async () => {
    const program = targetKind === 'etcd' ? { program: targetEtcdProgram } : {};
    const reference = await ShownCluster.start('etcd', {});
    clusters = [reference];
    const target = await ShownCluster.start(targetKind, program);
    clusters = [reference, target];
    sessions = [reference.session, target.session];
  });
  afterAll(async () => {
    await Promise.all(clusters.map((cluster) => cluster.dispose()));
  });

  for (const chapter of script) {
    describe(`through a follower: ${chapter.title}`, () => {
      for (const [index, step] of chapter.steps.entries()) {
        it(`${index + 1}: ${nameOf(step)}`, ({ skip }) => compareStep(sessions, step, skip));
      }
    });
  }

  it('a lock is waited for, and passes on when its holder ends', async () => {
    const said = await Promise.all(sessions.map((session) => contend(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('an election is seen by a listener, and won by the next when the leader resigns', async () => {
    const said = await Promise.all(sessions.map((session) => campaign(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('snapshot save writes a file that ends in the digest of the rest', async () => {
    const said = await Promise.all(sessions.map((session) => saveSnapshot(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('endpoint hashkv is stable without writes, and differs after one', async () => {
    const answers = await Promise.all(sessions.map((session) => hashes(session)));
    for (const [first, again, changed] of answers) {
      expect(again).toBe(first);
      expect(changed).not.toBe(first);
    }
  });

  describe('with the NOSPACE alarm raised', () => {
    beforeAll(async () => {
      for (const session of sessions) await raiseNoSpace(session);
    });
    for (const [index, step] of alarmSteps.entries()) {
      it(`${index + 1}: ${nameOf(step)}`, ({ skip }) => compareStep(sessions, step, skip));
    }
  });

  describe('members', () => {
    for (const [index, step] of memberSteps.entries()) {
      const name = 'act' in step ? step.name : nameOf(step);
      it(`${index + 1}: ${name}`, () => takeStep(step), 60_000);
    }
  });

  async function takeStep(step: MemberStep): Promise<void> {
    if ('act' in step) {
      await Promise.all(clusters.map((cluster) => step.act(cluster)));
      return;
    }
    const again = step.while;
    const [first, second] = await Promise.all(
      sessions.map((session) =>
        eventually(
          async () => {
            const said = await session.run(step);
            return again?.test(said) === true ? undefined : said;
          },
          `another answer to ${nameOf(step)}`,
          30_000,
        ),
      ),
    );
    compareTranscripts(step, [first ?? '', second ?? '']);
  }
});
