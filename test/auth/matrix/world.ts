/**
 * A server with authentication on, for the auth matrix: users who may do more and more, keys and
 * leases inside and outside of what they may touch, and a connection for each way of being
 * somebody. It listens without and with TLS, so that a token and a certificate meet one store.
 *
 * Keys: `m/a`, `m/b`, `m/x` inside, `n/a` outside. Leases: see `leases`.
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { Authority, type CertificateFiles, pem } from '../../e2e/certificates.js';
import { bytes, prefixEnd, RawClient } from '../../helpers/grpc.js';
import { freePort, type ServerKind, ServerProcess } from '../../helpers/server.js';

/** Who calls: the columns of the matrix, in its order. */
export const callers = [
  'no token',
  'wrong token',
  'old token',
  'no role',
  'part',
  'reads',
  'writes',
  'full',
  'root',
  'certificate',
  'certificate of nobody',
] as const;
export type CallerName = (typeof callers)[number];

/** Users beside root: the permission each has, and the name of the role that gives it. */
const users: Readonly<Record<string, readonly [type: number, from: string, to: Buffer]>> = {
  part: [2, 'm/a', bytes('m/c')],
  reads: [0, 'm/', prefixEnd('m/')],
  writes: [1, 'm/', prefixEnd('m/')],
  full: [2, 'm/', prefixEnd('m/')],
  // Whose password changes after it signed in.
  old: [2, 'm/', prefixEnd('m/')],
  // Who comes with a certificate.
  alice: [2, 'm/', prefixEnd('m/')],
};

/** Ids of leases: of no key, of `m/l`, of `n/l`, of both `m/k` and `n/k`; and of none. */
export const leases = { free: 101, inside: 102, outside: 103, both: 104, none: 999 } as const;

const password = (user: string) => `secret-of-${user}`;

/** One who calls. */
export interface Caller {
  readonly name: CallerName;
  /** Its user's name; what a token that is worth nothing would say of one. */
  readonly user: string;
  readonly client: RawClient;
  readonly metadata: grpc.Metadata;
}

/** A user that only one test knows. */
export type Guest = Omit<Caller, 'name' | 'user'> & { readonly name: string };

/** A permission, as RoleGrantPermission takes it. */
export interface Grant {
  /** 0: read, 1: write, 2: both. */
  readonly permType: number;
  readonly key: Buffer;
  readonly range_end?: Buffer;
}

/** Where the certificates of a world are. */
export interface WorldCertificates {
  readonly ca: string;
  readonly server: CertificateFiles;
  readonly alice: CertificateFiles;
  readonly nobody: CertificateFiles;
}

export class World {
  readonly server: ServerProcess;
  readonly #dir: string;
  readonly certificates: WorldCertificates;
  /** `host:port` of the listener with TLS. */
  readonly secureEndpoint: string;
  readonly #clients: RawClient[] = [];
  readonly #callers = new Map<CallerName, Caller>();
  readonly #plain: RawClient;
  #unique = 0;

  private constructor(
    server: ServerProcess,
    dir: string,
    certificates: WorldCertificates,
    secureEndpoint: string,
  ) {
    this.server = server;
    this.#dir = dir;
    this.certificates = certificates;
    this.secureEndpoint = secureEndpoint;
    this.#plain = this.#track(new RawClient(server));
  }

  /** `args`: more flags of the server. */
  static async start(
    kind: ServerKind,
    program?: string,
    args: readonly string[] = [],
  ): Promise<World> {
    const dir = mkdtempSync(join(tmpdir(), 'kvorum-auth-matrix-'));
    const certificates = makeCertificates(dir);
    const ports = { client: await freePort(), peer: await freePort() };
    const secure = `127.0.0.1:${await freePort()}`;
    const { cert, key } = certificates.server;
    const urls = `http://127.0.0.1:${ports.client},https://${secure}`;
    const server = new ServerProcess(kind, {
      ...(program === undefined ? {} : { program }),
      ports,
      args: [
        ...['--listen-client-urls', urls, '--bcrypt-cost', '4'],
        ...['--cert-file', cert, '--key-file', key],
        ...['--trusted-ca-file', certificates.ca, '--client-cert-auth'],
        ...args,
      ],
    });
    const world = new World(server, dir, certificates, secure);
    try {
      await server.start();
      await world.#found();
      await world.signIn();
    } catch (error) {
      await world.dispose();
      throw error;
    }
    return world;
  }

  caller(name: CallerName): Caller {
    const found = this.#callers.get(name);
    if (found === undefined) throw new Error(`nobody signed in as ${name}`);
    return found;
  }

  /** A name that no cell before had. */
  unique(prefix: string): string {
    this.#unique += 1;
    return `${prefix}${this.#unique}`;
  }

  /** A unary call as root. */
  asRoot<Res>(service: string, method: string, request: object): Promise<Res> {
    const { client, metadata } = this.caller('root');
    return client.unary(service, method, request, { metadata });
  }

  /** As root; an error that the store answers is no error. */
  async tryAsRoot(service: string, method: string, request: object): Promise<void> {
    await this.asRoot(service, method, request).catch(() => undefined);
  }

  auth(method: string, request: object): Promise<unknown> {
    return this.asRoot('etcdserverpb.Auth', method, request);
  }

  /** Makes a user with a role of its own that grants all this, and signs it in. */
  async newUser(grants: readonly Grant[]): Promise<Guest> {
    const name = this.unique('guest');
    await this.auth('UserAdd', { name, password: password(name) });
    await this.auth('RoleAdd', { name: roleOf(name) });
    for (const perm of grants) await this.auth('RoleGrantPermission', { name: roleOf(name), perm });
    await this.auth('UserGrantRole', { user: name, role: roleOf(name) });
    return { name, client: this.#plain, metadata: await this.#token(name) };
  }

  /** Puts all keys of the world, without leases, and removes others of the ranges. */
  async resetKeys(): Promise<void> {
    const put = (key: string) => ({ request_put: { key: bytes(key), value: bytes(`of ${key}`) } });
    const success = ['m/a', 'm/b', 'm/x', 'n/a'].map(put);
    await this.asRoot('etcdserverpb.KV', 'Txn', { success });
  }

  /** Grants the leases that are not there, and gives each its keys. */
  async resetLeases(): Promise<void> {
    for (const id of [leases.free, leases.inside, leases.outside, leases.both]) {
      await this.tryAsRoot('etcdserverpb.Lease', 'LeaseGrant', { ID: id, TTL: 600 });
    }
    const put = (key: string, lease: number) => ({ request_put: { key: bytes(key), lease } });
    const success = [
      put('m/l', leases.inside),
      put('n/l', leases.outside),
      put('m/k', leases.both),
      put('n/k', leases.both),
    ];
    await this.asRoot('etcdserverpb.KV', 'Txn', { success });
  }

  /** Signs all users in; what tokens there were before may be gone. */
  async signIn(): Promise<void> {
    const plain = (name: CallerName, user: string, metadata = new grpc.Metadata()): void => {
      this.#callers.set(name, { name, user, client: this.#plain, metadata });
    };
    plain('no token', 'nobody');
    plain('wrong token', 'nobody', withToken('nonsense'));
    plain('root', 'root', await this.#token('root'));
    await this.auth('UserChangePassword', { name: 'old', password: password('old') });
    plain('old token', 'old', await this.#token('old'));
    await this.auth('UserChangePassword', { name: 'old', password: 'another' });
    plain('no role', 'none', await this.#token('none'));
    for (const name of ['part', 'reads', 'writes', 'full'] as const) {
      plain(name, name, await this.#token(name));
    }
    const { alice, nobody } = this.certificates;
    this.#certified('certificate', 'alice', alice);
    this.#certified('certificate of nobody', 'nobody', nobody);
  }

  /** Switches authentication on again after it was switched off, and signs all users in. */
  async enableAgain(): Promise<void> {
    await this.#plain.unary('etcdserverpb.Auth', 'AuthEnable', {});
    await this.signIn();
  }

  /** Gives root its password again, which it changed to this. */
  async restoreRoot(changed: string): Promise<void> {
    const metadata = await this.#token('root', changed);
    const request = { name: 'root', password: password('root') };
    await this.#plain.unary('etcdserverpb.Auth', 'UserChangePassword', request, { metadata });
    await this.signIn();
  }

  /** A connection with TLS and this certificate. */
  secureClient({ cert, key }: CertificateFiles): RawClient {
    const credentials = grpc.credentials.createSsl(pem(this.certificates.ca), pem(key), pem(cert));
    return this.#track(new RawClient(this.secureEndpoint, {}, credentials));
  }

  async dispose(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.server.dispose();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #found(): Promise<void> {
    const auth = (method: string, request: object) =>
      this.#plain.unary('etcdserverpb.Auth', method, request);
    await auth('UserAdd', { name: 'root', password: password('root') });
    await auth('RoleAdd', { name: 'root' });
    await auth('UserGrantRole', { user: 'root', role: 'root' });
    await auth('UserAdd', { name: 'none', password: password('none') });
    for (const [name, [permType, key, range_end]] of Object.entries(users)) {
      await auth('UserAdd', { name, password: password(name) });
      await auth('RoleAdd', { name: roleOf(name) });
      const perm = { permType, key: bytes(key), range_end };
      await auth('RoleGrantPermission', { name: roleOf(name), perm });
      await auth('UserGrantRole', { user: name, role: roleOf(name) });
    }
    await auth('AuthEnable', {});
  }

  async #token(name: string, secret = password(name)): Promise<grpc.Metadata> {
    const request = { name, password: secret };
    const { token } = await this.#plain.unary<{ readonly token: string }>(
      'etcdserverpb.Auth',
      'Authenticate',
      request,
    );
    return withToken(token);
  }

  #certified(name: CallerName, user: string, files: CertificateFiles): void {
    if (this.#callers.has(name)) return;
    const client = this.secureClient(files);
    this.#callers.set(name, { name, user, client, metadata: new grpc.Metadata() });
  }

  #track(client: RawClient): RawClient {
    this.#clients.push(client);
    return client;
  }
}

/** The role of a user; `none` has none, and nobody has this one. */
export function roleOf(user: string): string {
  return `role-of-${user}`;
}

/** Metadata with this token. */
export function withToken(token: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('token', token);
  return metadata;
}

function makeCertificates(dir: string): WorldCertificates {
  mkdirSync(dir, { recursive: true });
  const ca = new Authority(join(dir, 'ca'), 'test authority');
  return {
    ca: ca.cert,
    server: ca.issue('localhost', 'serverAuth'),
    alice: ca.issue('alice', 'clientAuth'),
    nobody: ca.issue('nobody', 'clientAuth'),
  };
}
