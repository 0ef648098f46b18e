/** Links on sockets: how they break, come back, and what they hold meanwhile. */

import { describe, expect, it } from 'vitest';
import {
  GrpcCode,
  peerControlQueueBytesMax,
  peerEntriesQueueBytesMax,
  peerRefusedRetryMs,
} from '../../../src/common/index.js';
import { Metrics } from '../../../src/server/metrics/metrics.js';
import { createMetricsText } from '../../../src/server/metrics/registry.js';
import { haveOpenssl, makeCertificates } from '../../transport/support/certificates.js';
import { rejection } from './conformance.js';
import { connected, electionMs, linked, MemoryBench, socketBench, TestMember } from './fixtures.js';
import { appendOf, heartbeat } from './messages.js';

const none = Buffer.alloc(0);

async function pair(bench: MemoryBench): Promise<readonly [TestMember, TestMember]> {
  const [a, b] = await connected(bench, 2);
  if (a === undefined || b === undefined) throw new Error('two');
  return [a, b];
}

async function stopAll(bench: MemoryBench, ...members: TestMember[]): Promise<void> {
  for (const { transport } of members) await bench.wait(transport.stop());
  // A second for what lingers: no connection and no timer is left that would come again.
  await bench.pass(20_000);
  expect(bench.network.streamCount).toBe(0);
}

describe('links between members', () => {
  it('that are silent are given up in about an election timeout, and come back', async () => {
    const bench = new MemoryBench(1);
    const [a, b] = await pair(bench);
    await bench.pass(10_000);
    expect(linked(a, [b])).toBe(true);
    bench.block(1n, 2n);
    await bench.pass(0.4 * electionMs);
    expect(linked(a, [b])).toBe(true);
    await bench.pass(1.2 * electionMs);
    expect(linked(a, [b])).toBe(false);
    expect(a.lost).toContain(2n);
    await bench.pass(60_000);
    bench.unblock(1n, 2n);
    const healedMs = bench.clock.nowMs();
    await bench.until(() => linked(a, [b]) && linked(b, [a]));
    expect(bench.clock.nowMs() - healedMs).toBeLessThan(3 * electionMs);
    const since = a.transport.connectedSinceMs(2n) ?? 0;
    expect(since).toBeGreaterThan(healedMs);
    a.transport.send([heartbeat(1n, 2n, 1)]);
    await bench.until(() => b.messages.length === 1);
    await stopAll(bench, a, b);
  });

  it('that break come back at once', async () => {
    const bench = new MemoryBench(2);
    const [a, b] = await pair(bench);
    await bench.pass(5000);
    const cutMs = bench.clock.nowMs();
    bench.cut(2n);
    await bench.until(() => a.lost.includes(2n) && b.lost.includes(1n));
    await bench.until(() => linked(a, [b]) && linked(b, [a]));
    expect(bench.clock.nowMs() - cutMs).toBeLessThan(100);
    expect([a.ended, b.ended]).toEqual([[], []]);
    await stopAll(bench, a, b);
  });

  it('are dialled again and again, in pauses that grow to an end', async () => {
    const bench = new MemoryBench(3);
    const a = await TestMember.start(bench, 1n);
    a.transport.setPeers([{ id: 9n, peerUrls: ['http://127.0.0.9:2380'] }]);
    await bench.pass(30_000);
    const dials = bench.dials.map(({ atMs }) => atMs);
    // Two lanes; each every 0.75 to 1.5 s in the end.
    const late = dials.filter((atMs) => atMs > 20_000).length;
    expect(late).toBeGreaterThan(2 * (10_000 / 1500) - 2);
    expect(late).toBeLessThan(2 * (10_000 / 750) + 3);
    expect(dials.filter((atMs) => atMs < 500).length).toBeGreaterThan(5);
    await stopAll(bench, a);
  });

  it('hold a bounded number of bytes', async () => {
    const bench = new MemoryBench(4);
    const [a, b] = await pair(bench);
    bench.block(1n, 2n);
    bench.block(2n, 1n);
    const big = appendOf(1n, 2n, 0, 1, 1_000_000);
    for (let i = 0; i < 40; i++) a.transport.send([big]);
    await bench.pass(5);
    const sentBytes = a.metrics.sentBytes.of('2').value;
    const dropped = a.metrics.sentFailures.of('2').value;
    expect(sentBytes).toBeGreaterThan(peerEntriesQueueBytesMax);
    expect(sentBytes).toBeLessThan(peerEntriesQueueBytesMax + 3_000_000);
    expect(Math.round(sentBytes / 1_000_000) + dropped).toBe(40);
    expect(a.lost).toEqual([2n]);
    // The other lane is as empty as before.
    a.transport.send([heartbeat(1n, 2n, 1)]);
    expect(a.metrics.sentFailures.of('2').value).toBe(dropped);
    const forward = {
      type: 'ForwardProposal' as const,
      from: 1n,
      to: 2n,
      term: 1,
      entries: [{ type: 'normal' as const, data: Buffer.alloc(100_000) }],
    };
    expect(peerControlQueueBytesMax).toBeLessThan(peerEntriesQueueBytesMax);
    a.transport.send([forward]);
    // Proposals are entries, too: they wait with them and hold up no heartbeat.
    expect(a.metrics.sentFailures.of('2').value).toBe(dropped + 1);
    bench.unblock(1n, 2n);
    bench.unblock(2n, 1n);
    await bench.until(() => b.messages.length === 41 - dropped);
    a.transport.send([big]);
    await bench.until(() => b.messages.length === 42 - dropped);
    await stopAll(bench, a, b);
  });

  it('send what is said in one turn in one write for each lane', async () => {
    const bench = new MemoryBench(5);
    const [a, b] = await pair(bench);
    await bench.pass(20);
    const before = bench.writes;
    for (let n = 1; n <= 20; n++)
      a.transport.send([heartbeat(1n, 2n, n), appendOf(1n, 2n, n, 2, 100)]);
    await bench.until(() => b.messages.length === 40);
    expect(bench.writes - before).toBe(2);
    await stopAll(bench, a, b);
  });

  it('try the URLs of a member in turn', async () => {
    const bench = new MemoryBench(6);
    const [a, b] = await pair(bench);
    const c = await TestMember.start(bench, 3n);
    a.transport.setPeers([
      { id: 2n, peerUrls: ['nonsense', 'http://127.0.0.77:1', ...b.urls] },
      { id: 3n, peerUrls: ['http://127.0.0.77:1', ...c.urls] },
    ]);
    await bench.until(() => linked(a, [b, c]));
    a.transport.setPeers([{ id: 2n, peerUrls: ['', 'what?', 'http://x/y'] }]);
    expect(linked(a, [b])).toBe(false);
    await bench.pass(5000);
    a.transport.setPeers([b.address]);
    await bench.until(() => linked(a, [b]));
    await stopAll(bench, a, b, c);
  });

  it('go to where a member moved', async () => {
    const bench = new MemoryBench(7);
    const [a, b, c] = await connected(bench, 3);
    if (a === undefined || b === undefined || c === undefined) throw new Error('three');
    // Member 3 listens where member 2 is said to be now: whoever answers there is not member 2.
    a.transport.setPeers([{ id: 2n, peerUrls: c.urls }]);
    await bench.until(() => a.refusals.length > 0);
    expect(a.refusals[0]).toEqual([2n, 'notForThisMember']);
    a.transport.setPeers([{ id: 2n, peerUrls: b.urls }]);
    await bench.until(() => linked(a, [b]));
    await stopAll(bench, a, b, c);
  });

  it('that were refused are tried again, seldom', async () => {
    const bench = new MemoryBench(8);
    const [a, b] = await pair(bench);
    a.removed.add(2n);
    a.transport.setPeers([b.address]);
    await bench.pass(60_000);
    const tries = b.refusals.length;
    expect(tries).toBeGreaterThan(10);
    expect(tries).toBeLessThan(2 * (60_000 / (peerRefusedRetryMs / 2)) + 3);
    a.removed.clear();
    await bench.until(() => linked(b, [a]));
    await stopAll(bench, a, b);
  });

  it('let calls wait for them, but not when nobody is there', async () => {
    const bench = new MemoryBench(9);
    const a = await TestMember.start(bench, 1n);
    const b = await TestMember.start(bench, 2n);
    a.transport.setPeers([b.address, { id: 3n, peerUrls: ['http://127.0.0.3:2380'] }]);
    const early = a.transport.call(2n, 'leaseRenew', Buffer.from('x'), 5000);
    const lost = rejection(bench, a.transport.call(3n, 'leaseRenew', none, 5000));
    expect((await bench.wait(early)).toString()).toBe('re: x');
    expect(await lost).toMatchObject({ code: GrpcCode.UNAVAILABLE });
    expect(bench.clock.nowMs()).toBeLessThan(100);
    bench.block(1n, 2n);
    const silent = await rejection(bench, a.transport.call(2n, 'leaseRenew', none, 300));
    expect(silent).toMatchObject({ reason: 'TIMEOUT' });
    await stopAll(bench, a, b);
  });

  it('have calls that end with them', async () => {
    const bench = new MemoryBench(10);
    const [a, b] = await pair(bench);
    b.answer = () => new Promise(() => {});
    const call = rejection(bench, a.transport.call(2n, 'hashKv', none, 60_000));
    await bench.until(() => b.calls.length === 1);
    bench.cut(2n);
    expect(await call).toMatchObject({ code: GrpcCode.UNAVAILABLE });
    await stopAll(bench, a, b);
  });

  it('show in the metrics, under the names of etcd', async () => {
    const bench = new MemoryBench(11);
    const [a, b] = await pair(bench);
    a.transport.send([heartbeat(1n, 2n, 1), appendOf(1n, 2n, 0, 10, 300), heartbeat(1n, 9n, 1)]);
    await bench.until(() => b.messages.length === 2);
    await bench.pass(3500);
    bench.cut(2n);
    await bench.pass(3000);
    const scrape = async (member: TestMember) => {
      const metrics = Object.assign(new Metrics(), { peers: member.metrics });
      const versions = { kvorum: '0', etcd: '0', node: '0' };
      const options = { extensive: false, process: false, versions, loopLag: undefined };
      const { body } = await createMetricsText(metrics, options)();
      return (name: string) =>
        Number(
          body
            .split('\n')
            .find((line) => line.startsWith(`${name} `))
            ?.split(' ')[1],
        );
    };
    const ofA = await scrape(a);
    const ofB = await scrape(b);
    expect(ofA('etcd_network_peer_sent_bytes_total{To="2"}')).toBeGreaterThan(3000);
    expect(ofB('etcd_network_peer_received_bytes_total{From="1"}')).toBe(
      ofA('etcd_network_peer_sent_bytes_total{To="2"}'),
    );
    expect(ofA('etcd_network_peer_round_trip_time_seconds_count{To="2"}')).toBeGreaterThan(2);
    expect(ofA('etcd_network_peer_round_trip_time_seconds_sum{To="2"}')).toBeLessThan(0.1);
    expect(ofA('etcd_network_active_peers{Local="1",Remote="2"}')).toBe(1);
    expect(ofA('etcd_network_disconnected_peers_total{Local="1",Remote="2"}')).toBe(1);
    expect(ofA('etcd_network_known_peers{Local="1",Remote="1"}')).toBe(1);
    expect(ofA('etcd_network_known_peers{Local="1",Remote="2"}')).toBe(1);
    await stopAll(bench, a, b);
    expect((await scrape(a))('etcd_network_active_peers{Local="1",Remote="2"}')).toBe(0);
  });

  it('are not had by who starts where somebody listens already', async () => {
    const bench = new MemoryBench(12);
    const [a, b] = await pair(bench);
    await expect(bench.wait(TestMember.start(bench, 1n))).rejects.toThrow('in use');
    expect(linked(b, [a])).toBe(true);
    await stopAll(bench, a, b);
  });
});

describe.skipIf(!haveOpenssl)('links with certificates', () => {
  it('are only with members whose certificate the authority of the cluster made', async () => {
    const made = makeCertificates();
    const good = { cert: made.serverCert, key: made.serverKey, ca: made.ca };
    const foreign = { cert: made.strangerCert, key: made.strangerKey, ca: made.ca };
    const bench = socketBench({
      tls: { listen: { ...good, requireClientCertificate: true }, dial: good },
    });
    const [a, b] = await connected(bench, 2);
    if (a === undefined || b === undefined) throw new Error('two');
    const stranger = await TestMember.start(
      socketBench({ tls: { listen: foreign, dial: foreign } }),
      3n,
    );
    const plain = await TestMember.start(socketBench(), 4n);
    stranger.transport.setPeers([a.address]);
    plain.transport.setPeers([
      { id: 1n, peerUrls: a.urls },
      { id: 2n, peerUrls: b.urls.map((url) => url.replace('https', 'http')) },
    ]);
    a.transport.setPeers([b.address, stranger.address]);
    await bench.pass(300);
    stranger.transport.send([heartbeat(3n, 1n, 1)]);
    plain.transport.send([heartbeat(4n, 1n, 1), heartbeat(4n, 2n, 1)]);
    a.transport.send([heartbeat(1n, 2n, 1), heartbeat(1n, 3n, 1)]);
    await bench.until(() => b.messages.length === 1 && stranger.lost.length > 0);
    expect([a.messages, stranger.messages]).toEqual([[], []]);
    expect(stranger.transport.connectedSinceMs(1n)).toBeUndefined();
    expect(plain.transport.connectedSinceMs(1n)).toBeUndefined();
    expect(plain.transport.connectedSinceMs(2n)).toBeUndefined();
    expect(a.transport.connectedSinceMs(3n)).toBeUndefined();
    for (const { transport } of [a, b, stranger, plain]) await transport.stop();
  });
});
