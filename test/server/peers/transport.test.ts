/** The peer transport on sockets, simulated and real. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { haveOpenssl, makeCertificates } from '../../transport/support/certificates.js';
import { peerConformance } from './conformance.js';
import { MemoryBench, socketBench } from './fixtures.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-peers-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

for (const seed of [1, 2, 3]) {
  peerConformance(`simulated network, seed ${seed}`, () => new MemoryBench(seed));
}

peerConformance('TCP', () => socketBench());

let benches = 0;
peerConformance('unix socket', () => socketBench({ path: join(dir, `peer-${benches++}`) }));

if (haveOpenssl) {
  const { ca, serverCert: cert, serverKey: key } = makeCertificates();
  const tls = {
    listen: { cert, key, ca, requireClientCertificate: true },
    dial: { cert, key, ca },
  };
  peerConformance('TLS', () => socketBench({ tls }));
} else {
  describe.skip('peer transport: TLS (skipped: openssl is not installed)', () => {});
}
