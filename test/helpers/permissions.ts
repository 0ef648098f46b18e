import { type Caller, type ErrorReason, type KeyString, nobody } from '../../src/common/index.js';
import type { Access, Permissions } from '../../src/server/access/index.js';
import type { ServerCall } from '../../src/transport/index.js';

/** Users who may read and write single keys, told by hand; as Permissions says, and no more. */
export class FakePermissions implements Permissions {
  readonly isEnabled = true;
  revision = 2;
  readonly roots = new Set<string>();
  /** `user key` */
  readonly granted = new Set<string>();
  /** Questions about keys. */
  asked = 0;

  /** As this user, known by now. */
  as(name: string): Caller {
    return { name, authRevision: this.revision, refusal: undefined, isMember: false };
  }

  grant(name: string, key: KeyString): void {
    this.granted.add(`${name} ${key}`);
  }

  readRefusal(caller: Caller, key: KeyString): ErrorReason | undefined {
    this.asked += 1;
    if (caller.authRevision === 0) return 'USER_EMPTY';
    if (caller.authRevision < this.revision) return 'AUTH_OLD_REVISION';
    if (this.isRoot(caller) || this.granted.has(`${caller.name} ${key}`)) return undefined;
    return 'PERMISSION_DENIED';
  }

  writeRefusal(caller: Caller, key: KeyString): ErrorReason | undefined {
    return this.readRefusal(caller, key);
  }

  rootRefusal(caller: Caller): ErrorReason | undefined {
    return this.userRefusal(caller) ?? (this.isRoot(caller) ? undefined : 'PERMISSION_DENIED');
  }

  userRefusal({ name }: Caller): ErrorReason | undefined {
    return name === '' ? 'USER_EMPTY' : undefined;
  }

  isRoot({ name }: Caller): boolean {
    return this.roots.has(name);
  }

  prepare(): undefined {
    return undefined;
  }

  hasRole(): boolean {
    return false;
  }
}

/** The same with tokens: `NAME` is NAME's, and one that begins with `late ` is known a turn later. */
export class FakeAccess extends FakePermissions implements Access {
  identify(call: ServerCall): Caller | Promise<Caller> {
    const token = call.metadata('token');
    if (token?.startsWith('late ') !== true) return this.#of(token);
    return Promise.resolve().then(() => this.#of(token.slice('late '.length)));
  }

  identifyAgain(call: ServerCall): Caller {
    return this.#of(call.metadata('token'));
  }

  #of(token: string | undefined): Caller {
    if (token === undefined) return nobody;
    if (token === 'wrong') return { ...nobody, refusal: 'INVALID_AUTH_TOKEN' };
    return this.as(token);
  }
}
