/** {@link Access} of a member: its users and roles, and what calls bring along to prove who they are. */

import {
  type Caller,
  type ErrorReason,
  type KeyString,
  type Logger,
  nobody,
} from '../../common/index.js';
import type { ServerCall } from '../../transport/index.js';
import type { Access } from './access.js';
import type { AuthState, AuthUser } from './auth-state.js';
import { hasName } from './names.js';
import { invalidToken, type Tokens } from './tokens.js';

export interface MemberAccessOptions {
  readonly state: AuthState;
  readonly tokens: Tokens;
  /** Client certificates say who calls (--client-cert-auth). */
  readonly byCertificate: boolean;
  readonly logger: Logger;
}

/** etcd strips this, and only this. */
const bearer = 'Bearer ';

export class MemberAccess implements Access {
  readonly #state: AuthState;
  readonly #tokens: Tokens;
  readonly #byCertificate: boolean;
  readonly #logger: Logger;

  constructor({ byCertificate, logger, state, tokens }: MemberAccessOptions) {
    this.#state = state;
    this.#tokens = tokens;
    this.#byCertificate = byCertificate;
    this.#logger = logger;
  }

  get isEnabled(): boolean {
    return this.#state.isEnabled;
  }

  get revision(): number {
    return this.#state.revision;
  }

  // -------------------------------------------------------------------------------- who may what

  readRefusal(caller: Caller, key: KeyString, rangeEnd: KeyString): ErrorReason | undefined {
    const state = this.#state;
    const refusal = this.#staleness(caller);
    if (refusal !== undefined) return refusal;
    const user = state.user(caller.name);
    if (user === undefined) return 'PERMISSION_DENIED';
    if (state.isRoot(user) || state.mayRead(user, key, rangeEnd)) return undefined;
    return 'PERMISSION_DENIED';
  }

  writeRefusal(caller: Caller, key: KeyString, rangeEnd: KeyString): ErrorReason | undefined {
    const state = this.#state;
    const refusal = this.#staleness(caller);
    if (refusal !== undefined) return refusal;
    const user = state.user(caller.name);
    if (user === undefined) return 'PERMISSION_DENIED';
    if (state.isRoot(user) || state.mayWrite(user, key, rangeEnd)) return undefined;
    return 'PERMISSION_DENIED';
  }

  /** As etcd: however old the credentials are. */
  rootRefusal(caller: Caller): ErrorReason | undefined {
    if (caller.refusal !== undefined) return caller.refusal;
    if (caller.name === '') return 'USER_EMPTY';
    const user = this.#state.user(caller.name);
    if (user === undefined) return 'USER_NOT_FOUND';
    return this.#state.isRoot(user) ? undefined : 'PERMISSION_DENIED';
  }

  userRefusal(caller: Caller): ErrorReason | undefined {
    return caller.refusal ?? (caller.authRevision === 0 ? 'USER_EMPTY' : undefined);
  }

  isRoot(caller: Caller): boolean {
    const user = this.#userOf(caller);
    return user !== undefined && this.#state.isRoot(user);
  }

  prepare(caller: Caller): Promise<void> | undefined {
    return this.#state.prepare(caller.name, 'apply');
  }

  hasRole(name: string, role: string): boolean {
    return hasName(this.#state.user(name)?.roles ?? [], role);
  }

  #userOf(caller: Caller): AuthUser | undefined {
    return caller.refusal === undefined ? this.#state.user(caller.name) : undefined;
  }

  /** Why nothing that the caller brought along counts (any more). */
  #staleness({ authRevision, refusal }: Caller): ErrorReason | undefined {
    if (refusal !== undefined) return refusal;
    if (authRevision === 0) return 'USER_EMPTY';
    return authRevision < this.#state.revision ? 'AUTH_OLD_REVISION' : undefined;
  }

  // ----------------------------------------------------------------------------------- who calls

  identify(call: ServerCall): Caller | Promise<Caller> {
    const token = tokenOf(call);
    if (token === undefined) return this.#prepared(this.#certified(call));
    const who = this.#tokens.identify(token, call);
    if (who instanceof Promise) {
      return who.then((caller) => this.#prepared(this.#tell(call, caller)));
    }
    return this.#prepared(this.#tell(call, who));
  }

  #prepared(caller: Caller): Caller | Promise<Caller> {
    return this.#state.prepare(caller.name, 'read')?.then(() => caller) ?? caller;
  }

  identifyAgain(call: ServerCall, known: Caller | undefined): Caller | Promise<Caller> {
    const token = tokenOf(call);
    const caller =
      token === undefined
        ? this.#certified(call)
        : this.#tell(call, this.#tokens.identifyAgain(token, known));
    // Users may have changed once more by then.
    return (
      this.#state.prepare(caller.name, 'read')?.then(() => this.identifyAgain(call, known)) ??
      caller
    );
  }

  #tell(call: ServerCall, caller: Caller): Caller {
    if (caller === invalidToken) {
      this.#logger.warn('invalid auth token', { method: call.method, remote: call.peer.address });
    }
    return caller;
  }

  #certified(call: ServerCall): Caller {
    const { certificateVerified, commonName } = call.peer.identity;
    if (!this.#byCertificate || !certificateVerified || commonName === '') return nobody;
    if (call.metadata('grpcgateway-accept') !== undefined) {
      // The certificate is the gateway's own, not that of whoever calls it (CVE-2018-16886).
      this.#logger.warn('ignoring common name in gRPC-gateway proxy request', {
        commonName,
        method: call.method,
      });
      return nobody;
    }
    const authRevision = this.#state.revision;
    return { name: commonName, authRevision, refusal: undefined, isMember: false };
  }
}

function tokenOf(call: ServerCall): string | undefined {
  const text = call.metadata('token') ?? call.metadata('authorization');
  return text?.startsWith(bearer) ? text.slice(bearer.length) : text;
}
