import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  addedMemberIdOf,
  clusterIdOf,
  foundingIdentity,
  memberIdOf,
} from '../../src/server/membership/identity.js';
import { parseInitialCluster } from '../../src/server/options/urls.js';
import { freePort } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';

describe('identity', () => {
  it('has the values that etcd gives its defaults', () => {
    // Known to everybody who has ever run etcd without arguments.
    const cluster = parseInitialCluster('default=http://localhost:2380');
    const { clusterId, members } = foundingIdentity(cluster, 'etcd-cluster');
    expect(members[0]?.id.toString(16)).toBe('8e9e05c52164694d');
    expect(clusterId.toString(16)).toBe('cdf818194e3a8c32');
  });

  it('does not depend on the order of URLs or members', () => {
    const url = fc.webUrl();
    fc.assert(
      fc.property(fc.uniqueArray(url, { minLength: 1 }), fc.string(), (urls, token) => {
        expect(memberIdOf([...urls].reverse(), token)).toBe(memberIdOf(urls, token));
        const ids = urls.map((one) => memberIdOf([one], token));
        expect(clusterIdOf([...ids].reverse())).toBe(clusterIdOf(ids));
      }),
    );
  });

  it('differs for another token and for another time of adding', () => {
    const urls = ['http://127.0.0.1:2380'];
    expect(memberIdOf(urls, 'a')).not.toBe(memberIdOf(urls, 'b'));
    expect(addedMemberIdOf(urls, 1)).not.toBe(addedMemberIdOf(urls, 2));
    expect(addedMemberIdOf(urls, 1.9)).toBe(memberIdOf(urls, '1'));
  });
});

describeWith(['etcd'], 'identity, against a running etcd', () => {
  let child: ChildProcess | undefined;
  let dir = '';
  afterEach(async () => {
    if (child !== undefined && child.exitCode === null) {
      const gone = new Promise((resolve) => child?.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(dir, { recursive: true, force: true });
  });

  it('gives the same ids for the same flags', async () => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-identity-'));
    const urls: string[] = [];
    for (let i = 0; i < 4; i++) urls.push(`http://127.0.0.1:${await freePort()}`);
    const [client = '', one = '', other = '', third = ''] = urls;
    const initial = `n1=${one},n1=${other},n2=${third}`;
    child = spawn(toolPath('etcd'), [
      '--name=n1',
      `--data-dir=${join(dir, 'd')}`,
      '--logger=zap',
      '--log-outputs=stderr',
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${one},${other}`,
      `--initial-advertise-peer-urls=${one},${other}`,
      '--initial-cluster-token=tok 1',
      `--initial-cluster=${initial}`,
    ]);
    const { clusterId, members } = foundingIdentity(parseInitialCluster(initial), 'tok 1');
    const n1 = members.find((member) => member.name === 'n1');
    // It waits for n2, but logs who it is first.
    const log = await readUntil(child, /"cluster-id":"[0-9a-f]+"/);
    expect(log).toContain(`"cluster-id":"${clusterId.toString(16)}"`);
    expect(log).toContain(`"local-member-id":"${n1?.id.toString(16)}"`);
  });
});

function readUntil(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (pattern.test(text)) resolve(text);
    });
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`etcd ended: ${text.slice(-2000)}`)));
  });
}
