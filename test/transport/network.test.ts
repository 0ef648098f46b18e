/** The Network port: one suite for the real sockets and the simulated ones. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { nodeNetwork } from '../../src/server/platform/network-node.js';
import { MemoryNetwork, SimClock, SimRandom } from '../../src/sim/index.js';
import { type NetworkFixture, networkConformance } from './network-conformance.js';
import { haveOpenssl, makeCertificates } from './support/certificates.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-net-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const real = {
  network: nodeNetwork,
  async until(done: () => boolean): Promise<void> {
    while (!done()) await turn();
  },
  wait: <T>(promise: Promise<T>): Promise<T> => promise,
};

function simulated(seed: number): NetworkFixture {
  const clock = new SimClock();
  const network = new MemoryNetwork(clock, new SimRandom(seed), { splitChance: 0.5 });
  return {
    network,
    address: { host: 'n1', port: 0 },
    async until(done) {
      while (!done()) {
        if (!clock.step()) throw new Error('nothing is left to happen');
        await new Promise((resolve) => process.nextTick(resolve));
      }
    },
    wait: (promise) => clock.runUntil(promise),
  };
}

networkConformance('TCP', async () => ({ ...real, address: { host: '127.0.0.1', port: 0 } }));

let sockets = 0;
networkConformance('unix socket', async () => ({
  ...real,
  address: { path: join(dir, `socket-${sockets++}`) },
}));

if (haveOpenssl) {
  const { ca, serverCert, serverKey } = makeCertificates();
  networkConformance('TLS', async () => ({
    ...real,
    address: { host: '127.0.0.1', port: 0 },
    serverTls: { cert: serverCert, key: serverKey },
    clientTls: { ca },
  }));
} else {
  describe.skip('network: TLS (skipped: openssl is not installed)', () => {});
}

for (const seed of [1, 2, 3]) {
  networkConformance(`simulated, seed ${seed}`, async () => simulated(seed));
}

describe('simulated faults', () => {
  test('a block holds bytes back and healing delivers them', async () => {
    const f = simulated(7);
    const network = f.network;
    if (!(network instanceof MemoryNetwork)) throw new Error('expected the simulated network');
    const got: string[] = [];
    const listener = await network.host('b').listen({ host: 'b', port: 1 }, undefined, (stream) => {
      stream.setHandler({
        onData: (chunk) => void got.push(chunk.toString()),
        onEnd() {},
        onDrain() {},
        onClose() {},
      });
    });
    const stream = await f.wait(network.host('a').connect(listener.address, undefined, 1_000));
    stream.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
    network.block('a', 'b');
    stream.write(Buffer.from('late'));
    await expect(f.until(() => got.length > 0)).rejects.toThrow('nothing is left');
    const third = network.host('a').connect(listener.address, undefined, 1_000);
    await expect(f.wait(third)).rejects.toThrow('connect timeout');
    network.heal();
    await f.until(() => got.join('') === 'late');
  });

  test('the same seed gives the same chunks', async () => {
    const run = async (seed: number): Promise<string> => {
      const f = simulated(seed);
      const sizes: number[] = [];
      const listener = await f.network.listen(f.address, undefined, (stream) => {
        stream.setHandler({
          onData: (chunk) => void sizes.push(chunk.length),
          onEnd() {},
          onDrain() {},
          onClose() {},
        });
      });
      const stream = await f.wait(f.network.connect(listener.address, undefined, 1_000));
      for (let i = 0; i < 20; i++) stream.write(Buffer.alloc(1_000));
      await f.until(() => sizes.reduce((a, b) => a + b, 0) === 20_000);
      return sizes.join();
    };
    expect(await run(5)).toBe(await run(5));
    expect(await run(5)).not.toBe(await run(6));
  });
});

describe.skipIf(!haveOpenssl)('TLS identity', () => {
  test('a verified client certificate gives its common name; a stranger is turned away', async () => {
    const c = makeCertificates();
    const names: string[] = [];
    const tls = { cert: c.serverCert, key: c.serverKey, ca: c.ca, requireClientCertificate: true };
    const listener = await nodeNetwork.listen({ host: '127.0.0.1', port: 0 }, tls, (stream) => {
      names.push(`${stream.identity.commonName} ${stream.identity.certificateVerified}`);
      stream.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
    });
    const alice = { ca: c.ca, cert: c.clientCert, key: c.clientKey };
    const stream = await nodeNetwork.connect(listener.address, alice, 5_000);
    expect(stream.alpnProtocol).toBe('h2');
    await real.until(() => names.length === 1);
    expect(names).toEqual(['alice true']);
    stream.destroy();
    // TLS 1.3: the client learns of the refusal only after its own handshake is done.
    const mallory = { ca: c.ca, cert: c.strangerCert, key: c.strangerKey };
    const refused = await nodeNetwork.connect(listener.address, mallory, 5_000);
    await new Promise<void>((resolve) => {
      const over = (): void => resolve();
      refused.setHandler({ onData() {}, onEnd: over, onDrain() {}, onClose: over });
    });
    expect(names).toEqual(['alice true']);
    await expect(nodeNetwork.connect(listener.address, {}, 5_000)).rejects.toThrow();
    await listener.close();
  });
});
