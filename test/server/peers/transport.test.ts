/** The peer transport on sockets, simulated and real. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { haveOpenssl, makeCertificates } from '../../transport/support/certificates.js';
import { peerConformance } from './conformance.js';
import { MemoryBench, type PeerBench, socketBench } from './fixtures.js';
import { snapshotConformance, snapshotFaults } from './snapshot-conformance.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-peers-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function conformance(name: string, makeBench: () => PeerBench): void {
  peerConformance(name, makeBench);
  snapshotConformance(name, makeBench);
}

for (const seed of [1, 2, 3]) {
  conformance(`simulated network, seed ${seed}`, () => new MemoryBench(seed));
  snapshotFaults(`simulated network, seed ${seed}`, () => new MemoryBench(seed), true);
}

conformance('TCP', () => socketBench());

let benches = 0;
conformance('unix socket', () => socketBench({ path: join(dir, `peer-${benches++}`) }));

if (haveOpenssl) {
  const { ca, serverCert: cert, serverKey: key } = makeCertificates();
  const tls = {
    listen: { cert, key, ca, requireClientCertificate: true },
    dial: { cert, key, ca },
  };
  conformance('TLS', () => socketBench({ tls }));
} else {
  describe.skip('peer transport: TLS (skipped: openssl is not installed)', () => {});
}
