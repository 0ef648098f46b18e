/**
 * Patroni, unmodified, with its state in the server under test: two PostgreSQL, one follows the
 * other, the leader loses its power, the other is promoted and has everything. With and without
 * user and password at the store; the second time tokens end meanwhile.
 */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { Etcd } from '../../src/client/index.js';
import { eventually } from '../helpers/eventually.js';
import { type ServerProcess, startTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, slow } from '../helpers/tools.js';
import { PatroniNode, type Store } from './patroni/cluster.js';

/** A failover alone takes the 20 s of the leader's key; both only end what hangs. */
const patienceMs = 240_000;
const allMs = 900_000;

const root = { user: 'root', password: 'secret' } as const;
const dba = { user: 'dba', password: 'elephant' } as const;

// With users there is more that can go wrong; without, in the long version.
for (const withUsers of slow ? [false, true] : [true]) {
  const title = withUsers ? 'Patroni with user and password' : 'Patroni';
  describeWith(['patroni', 'postgresql', targetTool], title, () => {
    let server: ServerProcess | undefined;
    let store: Store = { endpoint: '' };
    const nodes: PatroniNode[] = [];

    beforeAll(async () => {
      server = await startTarget();
      const { endpoint } = server;
      if (withUsers) await makeUsers(endpoint);
      store = { endpoint, ...(withUsers ? dba : {}) };
    });
    afterAll(async () => {
      for (const node of nodes) await node.dispose();
      await server?.dispose();
    });

    /** With the logs of all, if it never happens. */
    async function happens(attempt: () => Promise<boolean>, what: string): Promise<void> {
      try {
        await eventually(async () => (await attempt()) || undefined, what, patienceMs);
      } catch (error) {
        const logs = nodes.map(({ name, log }) => `${name}:\n${log.slice(-6000)}`);
        throw new Error([what, ...logs].join('\n'), { cause: error });
      }
    }

    async function start(name: string): Promise<PatroniNode> {
      const node = await PatroniNode.start(name, store);
      nodes.push(node);
      return node;
    }

    it('fails over when the leader is killed, and takes it back', { timeout: allMs }, async () => {
      const one = await start('pg1');
      await happens(() => one.leads(), 'the first node leads');
      const two = await start('pg2');
      const follows = async (leader: PatroniNode): Promise<boolean> =>
        (await leader.members()).some(
          ({ role, state }) => role === 'replica' && ['running', 'streaming'].includes(state),
        );
      await happens(() => follows(one), 'the second node follows');
      expect(await two.leads()).toBe(false);
      await one.sql("create table t as select generate_series(1, 1000) as n, 'x' as text");
      const count = 'select count(*) from t';
      await happens(async () => (await two.sql(count)) === '1000', 'the second has what is in t');
      await expect(two.sql('insert into t values (0)')).rejects.toThrow('read-only');
      if (withUsers) await endTokens(store.endpoint);

      await one.kill();
      const writes = async () => (await two.sql('select pg_is_in_recovery()')) === 'f';
      // It leads as soon as it has the key, and is promoted then.
      await happens(async () => (await two.leads()) && (await writes()), 'the second is promoted');
      expect(await two.sql(count)).toBe('1000');
      await two.sql('insert into t select generate_series(1001, 1100)');

      one.start();
      await happens(() => follows(two), 'the killed node follows the new leader');
      await happens(async () => (await one.sql(count)) === '1100', 'it has what came meanwhile');
      expect(await one.leads()).toBe(false);
    });

    it('has kept its state in the store', async () => {
      await using client = new Etcd({
        endpoints: store.endpoint,
        ...(withUsers ? { credentials: root } : {}),
      });
      const { kvs } = await client.kv.range({ prefix: '/service/kvorum/' }, { keysOnly: true });
      const keys = kvs.map(({ key }) => key.slice('/service/kvorum/'.length));
      expect(keys).toEqual(
        expect.arrayContaining(['config', 'initialize', 'leader', 'members/pg1', 'members/pg2']),
      );
      if (withUsers) await expectNobodyElse(store.endpoint);
    });
  });
}

/** Patroni may touch what is below /service/, and nothing else. */
async function makeUsers(endpoint: string): Promise<void> {
  await using client = new Etcd(endpoint);
  const { auth } = client;
  await auth.addUser(root.user, root.password);
  await auth.grantRole('root', 'root');
  await auth.addRole('service');
  await auth.grantPermission('service', { kind: 'readwrite', range: { prefix: '/service/' } });
  await auth.addUser(dba.user, dba.password);
  await auth.grantRole(dba.user, 'service');
  await auth.enable();
}

/** Setting a password, even the same, ends the tokens: Patroni must ask for others. */
async function endTokens(endpoint: string): Promise<void> {
  await using client = new Etcd({ endpoints: endpoint, credentials: root });
  await client.auth.changePassword(dba.user, dba.password);
}

async function expectNobodyElse(endpoint: string): Promise<void> {
  await using stranger = new Etcd(endpoint);
  const key = '/service/kvorum/leader';
  await expect(stranger.kv.get(key)).rejects.toMatchObject({ reason: 'USER_EMPTY' });
}
