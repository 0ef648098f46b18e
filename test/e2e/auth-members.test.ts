/**
 * Users in a cluster of real processes: a token counts at every member at once, also where the log
 * is behind; users are there after a restart, and at a member that joins.
 */

import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { asFailure, bytes, RawClient } from '../helpers/grpc.js';
import { freePort, ServerProcess, startCluster } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';

const timeout = 120_000;

describeWith(['kvorum'], 'users in a cluster', () => {
  let members: ServerProcess[] = [];
  let clients: RawClient[] = [];
  beforeAll(async () => {
    members = [...(await startCluster('kvorum', 3, { args: ['--bcrypt-cost=4'] }))];
    clients = members.map((member) => new RawClient(member));
    const [first] = clients as [RawClient];
    await eventually(() => auth(first, 'UserAdd', { name: 'root', password: 'r' }), 'a leader');
    await auth(first, 'UserGrantRole', { user: 'root', role: 'root' });
    await auth(first, 'UserAdd', { name: 'u', password: 'secret' });
    await auth(first, 'RoleAdd', { name: 'reader' });
    const perm = { permType: 0, key: bytes('a'), range_end: bytes('b') };
    await auth(first, 'RoleGrantPermission', { name: 'reader', perm });
    await auth(first, 'UserGrantRole', { user: 'u', role: 'reader' });
    await auth(first, 'AuthEnable');
  }, timeout);
  afterAll(async () => {
    for (const client of clients) client.close();
    await Promise.all(members.map((member) => member.dispose()));
  });

  const withToken = (token: string) => {
    const metadata = new Metadata();
    metadata.set('token', token);
    return { metadata, deadlineMs: 10_000 };
  };
  const auth = (client: RawClient, method: string, request: object = {}, token?: string) =>
    client.unary<{ token: string; users: string[] }>(
      ...(['etcdserverpb.Auth', method, request] as const),
      token === undefined ? { deadlineMs: 10_000 } : withToken(token),
    );
  const login = async (client: RawClient, name: string, password: string): Promise<string> =>
    (await auth(client, 'Authenticate', { name, password })).token;

  it('a token counts at once at each member, whichever gave it', { timeout }, async () => {
    for (let round = 0; round < 12; round++) {
      const token = await login(clients[round % 3] as RawClient, 'u', 'secret');
      const reads = clients.map((client) =>
        client.range({ key: bytes('a'), serializable: true }, withToken(token)),
      );
      await Promise.all(reads);
    }
    const token = await login(clients[0] as RawClient, 'u', 'secret');
    for (const client of clients) {
      const failure = await client.range({ key: bytes('b') }, withToken(token)).catch(asFailure);
      expect(failure).toEqual({ code: 7, text: 'etcdserver: permission denied' });
    }
  });

  it('a member that starts again has its users, and no token', { timeout }, async () => {
    const [first, second] = clients as [RawClient, RawClient];
    const token = await login(first, 'u', 'secret');
    await second.range({ key: bytes('a') }, withToken(token));
    // What is written to the store is not applied again at the start, nor are tokens that it makes.
    const stopped = members[1] as ServerProcess;
    await stopped.stop();
    await stopped.start();
    const again = await eventually(
      async () => second.range({ key: bytes('a') }, withToken(token)).catch(asFailure),
      'an answer of the restarted member',
    );
    expect(again).toEqual({ code: 16, text: 'etcdserver: invalid auth token' });
    const fresh = await login(second, 'u', 'secret');
    expect(await first.range({ key: bytes('a') }, withToken(fresh))).toMatchObject({ count: '0' });
  });

  it('a member that joins has them, too', { timeout }, async () => {
    const [first] = clients as [RawClient];
    const token = await login(first, 'root', 'r');
    const ports = { client: await freePort(), peer: await freePort() };
    const peerURLs = [`http://127.0.0.1:${ports.peer}`];
    const added = await eventually(
      () =>
        first.unary<{ member: object }>(
          ...(['etcdserverpb.Cluster', 'MemberAdd', { peerURLs }] as const),
          withToken(token),
        ),
      'that a member may be added',
    );
    expect(added.member).toMatchObject({ peerURLs });
    const others = members.map(({ name, peerUrl }) => `${name}=${peerUrl}`);
    const joined = new ServerProcess('kvorum', {
      ...{ name: 'm4', ports, initialCluster: [...others, `m4=${peerURLs[0]}`].join(',') },
      args: ['--initial-cluster-state=existing'],
    });
    members.push(joined);
    await joined.start();
    const client = new RawClient(joined);
    clients.push(client);
    const own = await login(client, 'root', 'r');
    expect((await auth(client, 'UserList', {}, own)).users).toEqual(['root', 'u']);
    expect(await client.put({ key: bytes('a'), value: bytes('1') }, withToken(own))).toBeTruthy();
  });
});
