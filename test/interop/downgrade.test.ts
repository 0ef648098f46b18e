/**
 * A downgrade as etcdctl sees it, from the beginning to its end and once more: kvorum and the etcd
 * of the same version must say the same at each step. What the leader does by itself, some seconds
 * later, is waited for.
 */

import { beforeAll, expect, it } from 'vitest';
import { EtcdctlSession } from '../helpers/etcdctl.js';
import { eventually } from '../helpers/eventually.js';
import { useServer } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';

interface Versions {
  readonly etcdcluster: string;
  readonly storage: string;
}

describeWith(['etcd37', 'etcdctl37', 'kvorum'], 'a downgrade, on etcd 3.7.3 and kvorum', () => {
  const etcd = useServer('etcd', () => ({ program: toolPath('etcd37') }));
  const kvorum = useServer('kvorum');
  let sessions: readonly EtcdctlSession[];

  beforeAll(async () => {
    const etcdctl = toolPath('etcdctl37');
    sessions = await Promise.all(
      [etcd(), kvorum()].map((server) => EtcdctlSession.open(server, etcdctl)),
    );
  });

  /** Both say the same to one command. */
  async function alike(command: string): Promise<void> {
    const [reference, ours] = await Promise.all(
      sessions.map((session) => session.run({ args: command.split(' ') })),
    );
    expect(ours).toBe(reference);
  }

  async function info(session: EtcdctlSession): Promise<string> {
    const { stdout } = await session.exec(['endpoint', 'status', '-w', 'json']);
    const status = stdout.toString('utf8');
    const field = (name: string) => new RegExp(`"${name}":("[^"]*"|\\{[^}]*\\})`).exec(status)?.[1];
    const { etcdcluster, storage } = await versions(session);
    return [field('version'), field('storageVersion'), field('downgradeInfo'), etcdcluster, storage]
      .map(String)
      .join(' ');
  }

  async function versions(session: EtcdctlSession): Promise<Versions> {
    const response = await fetch(`${session.server.clientUrl}/version`);
    return (await response.json()) as Versions;
  }

  /** Both tell the same of themselves, once the cluster and the storage version are this one. */
  async function come(version: string): Promise<void> {
    const [reference, ours] = await Promise.all(
      sessions.map((session) =>
        eventually(async () => {
          const { etcdcluster, storage } = await versions(session);
          return etcdcluster === version && storage === version ? info(session) : undefined;
        }, `${session.server.kind} is at ${version}`),
      ),
    );
    expect(ours).toBe(reference);
  }

  it('is refused for what is no version, or not the one below', { timeout: 120_000 }, async () => {
    await come('3.7.0');
    for (const version of [
      '3.6',
      '3.6.0',
      '3.6.7',
      '3.5',
      '3.7',
      '3.8',
      '2.6',
      'x',
      '3',
      '3.6.0-a_b',
    ]) {
      await alike(`downgrade validate ${version}`);
    }
    for (const version of ['3.5', '3.7', 'v3.6', '3.6.0.0'])
      await alike(`downgrade enable ${version}`);
    for (const bad of ['validate', 'enable', 'cancel x', 'begin 3.6', 'validate 3.6 3.6']) {
      await alike(`downgrade ${bad}`);
    }
    await alike('downgrade cancel');
  });

  it('is on, lowers the version, and is cancelled', { timeout: 180_000 }, async () => {
    await alike('downgrade enable 3.6');
    await come('3.6.0');
    await alike('downgrade validate 3.6');
    await alike('downgrade enable 3.6');
    await alike('downgrade validate 3.5');
    await alike('downgrade enable 3.5');
    const path = '/downgrade/enabled';
    const reference = await fetch(`${etcd().peerUrl}${path}`);
    const ours = await fetch(`${kvorum().clientUrl}${path}`);
    expect(ours.headers.get('x-etcd-cluster-id')).toMatch(/^[0-9a-f]+$/);
    expect([ours.status, await ours.text()]).toEqual([reference.status, await reference.text()]);
    await alike('downgrade cancel');
    await alike('downgrade cancel');
    await come('3.7.0');
    await alike('downgrade validate 3.6');
  });
});
