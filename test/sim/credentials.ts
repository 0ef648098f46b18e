/**
 * Who the clients of a run are, where auth is on: users with passwords, who authenticate when they
 * have no token that counts.
 */

import { authenticateRequest, authenticateResponse } from '../../src/proto/index.js';
import type { Outcome } from '../helpers/in-process-call.js';

/** Makes one call; undefined: no answer came. */
export type Ask = (path: string, bytes: Buffer) => Promise<Outcome | undefined>;

/** A user, and the newest token of his; one client's, or shared by many. */
export class Credentials {
  readonly name: string;
  /** The name in his certificate; '': he has none. */
  readonly certificateOf: string;
  password: string;
  token: string | undefined;
  /** How often it authenticated. */
  authenticated = 0;

  constructor(name: string, password: string, certificateOf = '') {
    this.name = name;
    this.certificateOf = certificateOf;
    this.password = password;
  }

  /** Gets a token if there is none. Where auth is off, or no answer comes, there is none after. */
  async ensure(ask: Ask): Promise<void> {
    if (this.token !== undefined) return;
    const { name, password } = this;
    const request = authenticateRequest.encode({ name, password });
    const outcome = await ask('/etcdserverpb.Auth/Authenticate', request);
    if (outcome?.ok !== true) return;
    this.token = authenticateResponse.decode(outcome.message).token;
    this.authenticated += 1;
  }

  /** What an answer says about the token that was sent with its request. */
  heard(sent: string | undefined, text: string): void {
    if (this.token === sent && /invalid auth token|user name is empty|store is old/.test(text)) {
      this.token = undefined;
    }
  }
}

/** Everything but keys and leases is for root. */
export function isForRoot(path: string): boolean {
  return /^\/etcdserverpb\.(?:Cluster|Maintenance|Auth)\/|\.KV\/Compact$/.test(path);
}
