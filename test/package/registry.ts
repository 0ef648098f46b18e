/**
 * A package registry that has what this checkout would publish; for all other packages it asks the
 * one that npm is set up with. So programs are installed from it as they will be once they are out.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';

export interface LocalRegistry {
  readonly url: string;
  close(): Promise<void>;
}

/** A package, packed: its package.json and its tarball. */
export interface PackedPackage {
  readonly manifest: Readonly<Record<string, unknown>>;
  readonly tarball: string;
}

/** Serves `packed` on a free port; `upstream` is the address of the registry behind it. */
export async function startRegistry(
  packed: readonly PackedPackage[],
  upstream: string,
): Promise<LocalRegistry> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? '/').replace(/^\/|\?.*$/g, ''));
    const named = packed.find(({ manifest }) => manifest.name === path);
    const file = packed.find(({ tarball }) => path === `-/${basename(tarball)}`);
    if (named !== undefined) answer(response, 200, JSON.stringify(packument(named, url())));
    else if (file !== undefined) answer(response, 200, readFileSync(file.tarball));
    else if (request.method !== 'GET') answer(response, 404, '{}');
    else void passOn(`${upstream.replace(/\/$/, '')}${request.url}`, request.headers, response);
  });
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: url(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What a registry says of a package that has one version. */
function packument({ manifest, tarball }: PackedPackage, url: string): object {
  const integrity = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
  const version = String(manifest.version);
  const dist = { tarball: `${url}/-/${basename(tarball)}`, integrity };
  return {
    name: manifest.name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, dist } },
  };
}

async function passOn(
  url: string,
  headers: { readonly accept?: string | undefined },
  response: ServerResponse,
): Promise<void> {
  try {
    const { accept = '*/*' } = headers;
    const answered = await fetch(url, { headers: { accept } });
    answer(response, answered.status, Buffer.from(await answered.arrayBuffer()));
  } catch (error) {
    answer(response, 502, String(error));
  }
}

function answer(response: ServerResponse, status: number, body: string | Buffer): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body);
}
