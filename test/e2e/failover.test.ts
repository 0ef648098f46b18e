/**
 * kill -9 of the leader, with real processes and sockets. The election timeout is longer than the
 * calls may take, so what they are answered does not come from it.
 */

import { afterEach, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startCluster } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';

const timeout = 100_000;
const electionMs = 50_000;
const deadlineMs = 20_000;

describeWith(['kvorum'], 'kill -9 of the leader', () => {
  let members: readonly ServerProcess[] = [];
  let clients: RawClient[] = [];
  afterEach(async () => {
    for (const client of clients) client.close();
    await Promise.all(members.map((member) => member.dispose()));
  });

  const metric = async ({ clientUrl }: ServerProcess, name: string): Promise<number> => {
    const reply = await fetch(`${clientUrl}/metrics`);
    const found = new RegExp(`^${name} (.*)$`, 'm').exec(await reply.text());
    return Number(found?.[1]);
  };

  it('what the others are asked for meanwhile is done in the same election timeout', {
    timeout,
  }, async () => {
    const args = [`--election-timeout=${electionMs}`, '--heartbeat-interval=100'];
    members = await startCluster('kvorum', 3, { args });
    clients = members.map((member) => new RawClient(member));
    const put = (client: RawClient | undefined, value: string) =>
      client?.put({ key: bytes('k'), value: bytes(value) }, { deadlineMs });
    await eventually(() => put(clients[0], 'before'), 'a leader');
    const leads = await Promise.all(members.map((one) => metric(one, 'etcd_server_is_leader')));
    const leader = leads.indexOf(1);
    expect(leader).toBeGreaterThanOrEqual(0);
    const others = [0, 1, 2].filter((i) => i !== leader);
    // Before, while and after the process ends.
    const killed = members[leader]?.kill();
    const calls = [];
    for (let i = 0; i < 20; i += 1) {
      calls.push(put(clients[others[i % 2] ?? 0], `after ${i}`));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const read = clients[others[0] ?? 0]?.range({ key: bytes('k') }, { deadlineMs });
    const answers = await Promise.all(calls);
    expect(answers).toHaveLength(20);
    // Each was done once.
    expect((await read)?.kvs).toHaveLength(1);
    const last = await clients[others[0] ?? 0]?.range({ key: bytes('k') }, { deadlineMs });
    expect(last?.kvs[0]?.version).toBe('21');
    await killed;
    for (const i of others) {
      const member = members[i] as ServerProcess;
      expect(await metric(member, 'kvorum_leaders_gone_total')).toBe(1);
      expect(await metric(member, 'etcd_server_leader_changes_seen_total')).toBe(2);
    }
  });
});
