/** More TLS handshakes than a listener has room for: who waits, makes room, gets in (L-46). */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as netConnect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  type Listener,
  type TlsRefusal,
  tlsHandshakesMax,
  tlsHandshakesPerTurnMax,
  tlsHandshakesWaitingMax,
  tlsHandshakeYieldMs,
} from '../../src/common/index.js';
import { type Closing, HandshakeSlots } from '../../src/server/platform/handshake-slots.js';
import { nodeNetwork } from '../../src/server/platform/network-node.js';
import { SimClock } from '../../src/sim/index.js';
import { Authority, type CertificateFiles, describeWithOpenssl } from '../e2e/certificates.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-flood-'));
const listeners: Listener[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(listeners.splice(0).map((listener) => listener.close()));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const read = (path: string): string => readFileSync(path, 'utf8');

/** The first bytes of a record with a handshake in it, and nothing more. */
const begin = Buffer.from([22, 3, 1, 2, 0, 1]);

describeWithOpenssl('a flood of TLS handshakes', () => {
  let server: CertificateFiles;
  let ca: string;
  beforeAll(() => {
    const authority = new Authority(join(dir, 'ca'), 'authority');
    server = authority.issue('localhost', 'serverAuth');
    ca = read(authority.cert);
  }, 60_000);

  async function until(what: string, isSo: () => boolean): Promise<void> {
    for (let turns = 0; !isSo() && turns < 3000; turns += 1) await sleep(10);
    expect(isSo(), what).toBe(true);
  }

  test('lets others in: who does not go on makes room after a second', async () => {
    const refusals: TlsRefusal[] = [];
    const tls = {
      cert: read(server.cert),
      key: read(server.key),
      onRefused: (refusal: TlsRefusal) => refusals.push(refusal),
    };
    const listener = await nodeNetwork.listen({ host: '127.0.0.1', port: 0 }, tls, (stream) => {
      stream.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
      stream.write(Buffer.from('hello'));
    });
    listeners.push(listener);
    const { address } = listener;
    if (!('port' in address)) throw new Error('not a TCP address');
    const more = 200;
    let connected = 0;
    let closed = 0;
    for (let i = 0; i < tlsHandshakesMax + more; i += 1) {
      const socket = netConnect(address, () => {
        connected += 1;
        socket.write(begin);
      });
      socket
        .on('error', () => {})
        .once('close', () => {
          closed += 1;
        });
      sockets.push(socket);
      if (i % 100 === 0) await sleep(1);
    }
    await until('all are there', () => connected === sockets.length);
    const hello = new Promise<string>((resolve) => {
      const socket = tlsConnect({ ...address, ca, servername: 'localhost' });
      socket.once('data', (data) => resolve(data.toString())).on('error', () => {});
      sockets.push(socket);
    });
    expect(await hello).toBe('hello');
    // It had to wait for that many.
    const crowded = () => refusals.filter(({ kind }) => kind === 'crowded').length;
    expect(crowded()).toBeGreaterThanOrEqual(more);
    // Those that nobody waits for have the time that they had.
    expect(crowded()).toBeLessThan(tlsHandshakesMax);
    await until('all are closed in the end', () => closed === tlsHandshakesMax + more);
    expect(refusals).toHaveLength(tlsHandshakesMax + more);
    expect(new Set(refusals.map(({ kind }) => kind))).toEqual(new Set(['crowded', 'timeout']));
    expect(refusals.every(({ remoteAddress }) => /^127\.0\.0\.1:\d+$/.test(remoteAddress))).toBe(
      true,
    );
  }, 60_000);

  test('fills no more than the places and the queue, and each turn comes once', async () => {
    const refused: string[] = [];
    const begun: string[] = [];
    const clock = new SimClock();
    const slots = new HandshakeSlots<FakeSocket>({
      clock,
      waitMsMax: 10_000,
      refuse: (socket, reason) => refused.push(`${socket.name} ${reason}`),
    });
    const take = (name: string): FakeSocket => {
      const socket = new FakeSocket(name);
      slots.take(socket, () => begun.push(name));
      return socket;
    };
    /** Whoever may begin has begun, few in a turn. */
    const settled = async (): Promise<void> => {
      for (let before = -1; before < begun.length; ) {
        before = begun.length;
        await clock.run(clock.nowMs() + 1);
      }
    };
    const first = Array.from({ length: tlsHandshakesMax }, (_, i) => take(`first ${i}`));
    expect(begun).toHaveLength(tlsHandshakesPerTurnMax);
    await settled();
    expect(begun).toEqual(first.map(({ name }) => name));
    const queue = Array.from({ length: tlsHandshakesWaitingMax }, (_, i) => take(`queue ${i}`));
    expect([begun.length, refused]).toEqual([tlsHandshakesMax, []]);
    take('late');
    expect(refused).toEqual(['late too many TLS handshakes at once']);
    // Whoever waits and leaves has no turn; a place counts once, however often it is given back.
    queue[0]?.close();
    first[0]?.close();
    if (first[0] !== undefined) slots.release(first[0]);
    expect(begun.slice(tlsHandshakesMax)).toEqual(['queue 1']);
    // Until a second has passed nobody has to make room; then the oldest do, some at a time.
    await clock.run(clock.nowMs() + tlsHandshakeYieldMs - 100);
    expect(refused).toHaveLength(1);
    await clock.run(clock.nowMs() + 200);
    expect(refused.length).toBeGreaterThan(2);
    expect(refused.length).toBeLessThan(300);
    expect(refused[1]).toMatch(/^first 1 the TLS handshake took its time while others waited/);
    await settled();
    expect(begun.length - tlsHandshakesMax).toBe(refused.length);
    // Nobody waits for longer than a handshake may take.
    const waited = /^queue \d+ too many TLS handshakes at once$/;
    await clock.run(clock.nowMs() + 8_000);
    expect(refused.some((line) => waited.test(line))).toBe(false);
    await clock.run(clock.nowMs() + 3_000);
    expect(refused.some((line) => waited.test(line))).toBe(true);
    for (const one of [...first, ...queue]) one.close();
    // Nobody is left, and there is room for all again.
    const before = begun.length;
    for (let i = 0; i < tlsHandshakesMax; i += 1) take(`again ${i}`);
    await settled();
    expect(begun.length - before).toBe(tlsHandshakesMax);
  }, 30_000);
});

/** As much of a socket as is asked of one. */
class FakeSocket implements Closing {
  readonly name: string;
  #onClose: (() => void) | undefined;

  constructor(name: string) {
    this.name = name;
  }

  once(_event: 'close', listener: () => void): void {
    this.#onClose = listener;
  }

  close(): void {
    this.#onClose?.();
  }
}
