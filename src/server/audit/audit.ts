/** Calls on their way into the audit: what was asked is noted at the door, the result at the end. */

import { type Clock, GrpcCode } from '../../common/index.js';
import { decodeWatchRequest, decodeWatchResponse, revisionOfResponse } from '../../proto/index.js';
import type { CallWitness, MethodHandler, ServerCall } from '../../transport/index.js';
import { grpcCodeNames } from '../metrics/index.js';
import type { AuditConfig } from '../options/index.js';
import type { CallAuditor, MethodAuditor } from '../rpc/index.js';
import { type Asked, type AskedMethod, askedMethod } from './asked.js';
import { auditLine, type Outcome } from './line.js';
import { AuditRules } from './rules.js';

export interface AuditOptions {
  readonly config: AuditConfig;
  readonly clock: Clock;
  /** Gets one line with its newline. */
  readonly write: (line: string) => void;
}

export class Audit implements CallAuditor {
  readonly #o: AuditOptions;
  readonly #rules: AuditRules;

  constructor(options: AuditOptions) {
    this.#o = options;
    this.#rules = new AuditRules(options.config);
  }

  of(method: string, kind: MethodHandler['kind']): MethodAuditor | undefined {
    const asked = askedMethod(method);
    const name = shortName(method);
    if (asked === undefined || !this.#rules.mayWrite(name, asked.kinds)) return undefined;
    return {
      begin: (call, request) => {
        call.witness = new AuditedCall(this, name, call, readOf(asked, request));
      },
      follow: (call) => {
        const { witness } = call;
        if (kind === 'bidi' && method === watchMethod && witness instanceof AuditedCall) {
          witness.followWatch();
        }
      },
    };
  }

  get clock(): Clock {
    return this.#o.clock;
  }

  /** Writes it down if the rules say so. */
  tell(call: ServerCall, method: string, asked: Asked, outcome: Outcome): void {
    const { commonName } = call.peer.identity;
    const user = call.caller?.name ?? '';
    if (!this.#rules.writes({ user: user || commonName, method }, asked)) return;
    const atMs = this.#o.clock.wallMs();
    const { address } = call.peer;
    this.#o.write(auditLine({ atMs, user, commonName, address, method, asked, outcome }));
  }
}

const watchMethod = '/etcdserverpb.Watch/Watch';

function shortName(method: string): string {
  const [, service = '', name = ''] = method.split('/');
  return `${service.slice(service.lastIndexOf('.') + 1)}/${name}`;
}

const unreadable: Asked = { kind: 'write', keys: [], about: { unreadable: true } };

function readOf(method: AskedMethod, request: Buffer | undefined): Asked {
  if (request === undefined) return { kind: method.kinds[0] ?? 'read', keys: [], about: {} };
  try {
    return method.read(request);
  } catch {
    // The handler says what is wrong with it.
    return unreadable;
  }
}

/** One call that may be written down. */
class AuditedCall implements CallWitness {
  readonly #audit: Audit;
  readonly #method: string;
  readonly #call: ServerCall;
  readonly #asked: Asked;
  readonly #startMs: number;
  #revision = 0;
  /** Watches that were asked for and not answered yet, in order. */
  #watches: Asked[] | undefined;
  #watchesTold = 0;

  constructor(audit: Audit, method: string, call: ServerCall, asked: Asked) {
    this.#audit = audit;
    this.#method = method;
    this.#call = call;
    this.#asked = asked;
    this.#startMs = audit.clock.nowMs();
  }

  answered(parts: readonly Uint8Array[]): void {
    if (this.#watches !== undefined) {
      if (this.#watches.length > 0) this.#watchAnswered(Buffer.concat(parts));
      return;
    }
    const [first] = parts;
    if (first !== undefined) this.#revision = revisionOfResponse(first) || this.#revision;
  }

  ended(code: GrpcCode, message: string): void {
    const waiting = this.#watches;
    if (waiting !== undefined) {
      for (const asked of waiting.splice(0)) this.#tell(asked, nameOf(code), message, 0);
      if (this.#watchesTold > 0) return;
    }
    this.#tell(this.#asked, nameOf(code), message, this.#revision);
  }

  /** Each watch of the stream is told by itself; the stream only if there was none. */
  followWatch(): void {
    const call = this.#call;
    const receive = call.onMessage;
    if (receive === undefined) return;
    this.#watches = [];
    call.onMessage = (message) => {
      this.#watchAsked(message);
      receive(message);
    };
  }

  #watchAsked(message: Buffer): void {
    try {
      const request = decodeWatchRequest(message);
      if (request.type !== 'create') return;
      const { key, rangeEnd: end } = request;
      const keys = [{ op: 'watch', kind: 'read', key, end }] as const;
      this.#watches?.push({ kind: 'read', keys, about: {} });
    } catch {
      // The handler ends the stream.
    }
  }

  /** Creations are answered in their order, refused ones as well. */
  #watchAnswered(bytes: Buffer): void {
    const { cancelReason, canceled, created, header } = decodeWatchResponse(bytes);
    if (!created) return;
    const asked = this.#watches?.shift();
    if (asked === undefined) return;
    this.#tell(asked, canceled ? 'Canceled' : 'OK', cancelReason, header?.revision ?? 0);
  }

  #tell(asked: Asked, code: string, message: string, revision: number): void {
    if (asked !== this.#asked) this.#watchesTold += 1;
    const tookMs = this.#audit.clock.nowMs() - this.#startMs;
    this.#audit.tell(this.#call, this.#method, asked, { code, message, revision, tookMs });
  }
}

function nameOf(code: GrpcCode): string {
  return grpcCodeNames[code] ?? grpcCodeNames[GrpcCode.UNKNOWN] ?? '';
}
