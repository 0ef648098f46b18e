/**
 * The Lease service (C-3): steps 2, 3 and 12 of the data path for leases.
 *
 * Grant and revoke are proposals. Renewals and remaining times are known to the leader only: they
 * are asked of its lessor, wherever that is. Lists of leases come from the lessor of this member.
 */

import {
  assert,
  type Caller,
  type Clock,
  type ErrorReason,
  EtcdError,
  GrpcCode,
  type LeaseId,
  leaseKeepAlivesInFlightMax,
  nobody,
  type Random,
} from '../../common/index.js';
import {
  decodeLeaseGrantRequest,
  decodeLeaseKeepAliveRequest,
  decodeLeaseRevokeRequest,
  decodeLeaseTimeToLiveRequest,
  type EncodedHeader,
  encodeLeaseGrantResponse,
  encodeLeaseKeepAliveResponse,
  encodeLeaseRevokeResponse,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
  type LeaseTimeToLiveRequest,
  ProtoError,
} from '../../proto/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import type { Access } from '../access/index.js';
import { type LeaderGate, requireLeader } from '../rpc/index.js';
import type { LeaseKeyRights } from './key-rights.js';
import type { LeaseInfo, Lessor, RenewWaiter } from './lessor.js';
import { LeaseListing, timeToLiveAnswer, timeToLiveBytes } from './long-replies.js';

/** What only the leader knows, asked of it from anywhere; see LeaderLessor. */
export interface LeaderAnswers {
  renew(id: LeaseId, waiter: RenewWaiter): void;
  /** No info and no error: there is no such lease. */
  timeToLive(
    request: LeaseTimeToLiveRequest,
    call: ServerCall,
    done: (error: Error | undefined, info: LeaseInfo | undefined) => void,
  ): void;
}

/** The part of a member that the Lease service stands on. */
export interface LeaseService {
  /** Of this member. */
  readonly lessor: Lessor;
  readonly leaderLessor: LeaderAnswers;
  readonly access: Access;
  readonly keyRights: Pick<LeaseKeyRights, 'askRead' | 'askReadAll' | 'askWrite'>;
  readonly leader: LeaderGate;
  readonly clock: Clock;
  readonly random: Random;
  /** The complete header of a reply that leaves now. */
  header(): EncodedHeader;
  /** Has a lease granted (the request has an id); `done` once it is applied here. */
  grant(
    request: LeaseGrantRequest,
    call: ServerCall,
    done: (error: Error | undefined, ttlSeconds: number) => void,
  ): void;
  /** Has a lease revoked; `done` once that is applied here. */
  revoke(
    request: LeaseRevokeRequest,
    call: ServerCall,
    done: (error: Error | undefined) => void,
  ): void;
}

type LeaseHandler = (service: LeaseService, request: Buffer, call: ServerCall) => void;

/** Handlers of the Lease service by full method name. */
export function leaseMethods(service: LeaseService): Array<readonly [string, MethodHandler]> {
  const unary = (name: string, handle: LeaseHandler): readonly [string, MethodHandler] => [
    `/etcdserverpb.Lease/${name}`,
    {
      kind: 'unary',
      handle: (request, call) => {
        try {
          handle(service, request, call);
        } catch (error) {
          failLeaseCall(call, error);
        }
      },
    },
  ];
  return [
    unary('LeaseGrant', handleGrant),
    unary('LeaseRevoke', handleRevoke),
    unary('LeaseTimeToLive', handleTimeToLive),
    unary('LeaseLeases', leasesHandler(service)),
    [
      '/etcdserverpb.Lease/LeaseKeepAlive',
      { kind: 'bidi', handle: (call) => new KeepAliveSession(service, call).start() },
    ],
  ];
}

/** Operating errors are answered; anything else is a bug and goes on to whoever called. */
function failLeaseCall(call: ServerCall, error: unknown): void {
  call.leaveRoom();
  if (error instanceof EtcdError) call.fail(error.code, error.message);
  else if (error instanceof ProtoError) {
    call.fail(GrpcCode.INTERNAL, `grpc: error unmarshalling request: ${error.message}`);
  } else throw error;
}

function handleGrant(service: LeaseService, bytes: Buffer, call: ServerCall): void {
  const asked = decodeLeaseGrantRequest(bytes);
  const id = asked.id === 0n ? freshLeaseId(service) : asked.id;
  service.grant({ id, ttlSeconds: asked.ttlSeconds }, call, (error, ttlSeconds) => {
    if (error !== undefined) failLeaseCall(call, error);
    else call.reply(encodeLeaseGrantResponse(service.header(), id, ttlSeconds));
  });
}

/** A random positive id that no lease has: nobody could guess the next one, or count them. */
function freshLeaseId(service: LeaseService): LeaseId {
  for (;;) {
    const id = BigInt.asUintN(63, service.random.u64());
    if (id !== 0n && !service.lessor.has(id)) return id;
  }
}

function handleRevoke(service: LeaseService, bytes: Buffer, call: ServerCall): void {
  service.revoke(decodeLeaseRevokeRequest(bytes), call, (error) => {
    if (error !== undefined) failLeaseCall(call, error);
    else call.reply(encodeLeaseRevokeResponse(service.header()));
  });
}

function handleTimeToLive(service: LeaseService, bytes: Buffer, call: ServerCall): void {
  const request = decodeLeaseTimeToLiveRequest(bytes);
  service.leaderLessor.timeToLive(request, call, (error, info) => {
    if (error !== undefined) {
      failLeaseCall(call, error);
      return;
    }
    const keys = info?.keys ?? [];
    unlessRefused(
      service,
      call,
      (caller) => service.keyRights.askRead(caller, keys),
      () => answerTimeToLive(service, call, request.id, info),
    );
  });
}

function answerTimeToLive(
  service: LeaseService,
  call: ServerCall,
  id: LeaseId,
  info: LeaseInfo | undefined,
): void {
  const answer = (): void => {
    answerInPieces(call, timeToLiveAnswer(service.clock, service.header(), id, info));
  };
  const taken = call.takeRoom(timeToLiveBytes(info));
  if (taken === undefined) answer();
  else taken.then(answer, (refused: unknown) => failLeaseCall(call, refused));
}

/** Runs `answer` if auth is off, or once the caller was found to be allowed to see it. */
function unlessRefused(
  { access }: LeaseService,
  call: ServerCall,
  ask: (caller: Caller) => ErrorReason | undefined | Promise<ErrorReason | undefined>,
  answer: () => void,
): void {
  if (!access.isEnabled) {
    answer();
    return;
  }
  const decide = (refusal: ErrorReason | undefined): void => {
    if (refusal === undefined) answer();
    else failLeaseCall(call, new EtcdError(refusal));
  };
  const refusal = ask(call.caller ?? nobody);
  if (refusal instanceof Promise) void refusal.then(decide);
  else decide(refusal);
}

function leasesHandler(service: LeaseService): LeaseHandler {
  const listing = new LeaseListing(service.lessor, service.clock, () => service.header());
  const ids = () => service.lessor.ids();
  return (_service, _bytes, call) => {
    const answer = (): void => answerInPieces(call, listing.answer());
    unlessRefused(
      service,
      call,
      (caller) => service.keyRights.askReadAll(caller, ids),
      () => {
        if (call.hasRoom) answer();
        else call.whenRoom(answer);
      },
    );
  };
}

/** What goes wrong with it is a bug, so it must not be caught. */
function answerInPieces(call: ServerCall, parts: Uint8Array[] | Promise<Uint8Array[]>): void {
  const reply = (made: Uint8Array[]): void => {
    call.replyParts(made);
    call.leaveRoom();
  };
  if (parts instanceof Promise) void parts.then(reply);
  else reply(parts);
}

/** One keepalive request and, once it has come, its answer. */
class KeepAlive implements RenewWaiter {
  readonly id: LeaseId;
  /** Made before the renewal, so that its revision is not above the point of the renewal. */
  readonly header: EncodedHeader;
  readonly #session: KeepAliveSession;
  /** -1: not answered yet. */
  ttlSeconds = -1;

  constructor(session: KeepAliveSession, id: LeaseId, header: EncodedHeader) {
    this.#session = session;
    this.id = id;
    this.header = header;
  }

  renewed(error: Error | undefined, ttlSeconds: number): void {
    assert(this.ttlSeconds < 0, 'a keepalive is answered once');
    if (error !== undefined) {
      this.#session.fail(error);
      return;
    }
    this.ttlSeconds = ttlSeconds;
    this.#session.answer();
  }
}

/** One LeaseKeepAlive call: answers in the order of the requests. */
class KeepAliveSession {
  readonly #service: LeaseService;
  readonly #call: ServerCall;
  #releaseGate: (() => void) | undefined;
  /** Not yet answered, from `#next` on. */
  #queue: KeepAlive[] = [];
  #next = 0;
  #paused = false;
  #writable = true;
  #halfClosed = false;
  #finished = false;

  constructor(service: LeaseService, call: ServerCall) {
    this.#service = service;
    this.#call = call;
  }

  start(): void {
    const call = this.#call;
    this.#releaseGate = requireLeader(this.#service.leader, call, () => this.#finish());
    if (this.#releaseGate === undefined) return;
    call.onCancel = () => this.#finish();
    call.onMessage = (message) => this.#receive(message);
    call.onEnd = () => {
      this.#halfClosed = true;
      this.answer();
    };
    call.onDrain = () => {
      this.#writable = true;
      this.#regulate();
    };
  }

  #receive(message: Buffer): void {
    if (this.#finished) return;
    let id: LeaseId;
    try {
      ({ id } = decodeLeaseKeepAliveRequest(message));
    } catch (error) {
      this.fail(error);
      return;
    }
    const request = new KeepAlive(this, id, this.#service.header());
    this.#queue.push(request);
    this.#renew(request);
    this.#regulate();
  }

  /** While auth is on only for who may write all keys of the lease. */
  #renew(request: KeepAlive): void {
    const { access, leaderLessor } = this.#service;
    if (!access.isEnabled) {
      leaderLessor.renew(request.id, request);
      return;
    }
    const who = access.identifyAgain(this.#call, this.#call.caller);
    if (who instanceof Promise) void who.then((caller) => this.#renewFor(caller, request));
    else this.#renewFor(who, request);
  }

  #renewFor(caller: Caller, request: KeepAlive): void {
    const { access, keyRights } = this.#service;
    const refusal =
      caller.refusal ?? access.userRefusal(caller) ?? keyRights.askWrite(caller, request.id);
    if (refusal instanceof Promise) void refusal.then((found) => this.#renewUnless(found, request));
    else this.#renewUnless(refusal, request);
  }

  #renewUnless(refusal: ErrorReason | undefined, request: KeepAlive): void {
    if (refusal !== undefined) this.fail(new EtcdError(refusal));
    else this.#service.leaderLessor.renew(request.id, request);
  }

  /** Sends the answers that have come, as far as no earlier one is missing. */
  answer(): void {
    if (this.#finished) return;
    const queue = this.#queue;
    for (;;) {
      const request = queue[this.#next];
      if (request === undefined || request.ttlSeconds < 0) break;
      this.#next += 1;
      const { header, id, ttlSeconds } = request;
      assert(this.#next <= queue.length, 'no more is answered than was asked');
      const bytes = encodeLeaseKeepAliveResponse(header, id, ttlSeconds);
      if (!this.#call.send(bytes)) this.#writable = false;
    }
    if (this.#next === queue.length) {
      queue.length = 0;
      this.#next = 0;
      if (this.#halfClosed) {
        this.#finish();
        this.#call.end();
        return;
      }
    } else if (this.#next > leaseKeepAlivesInFlightMax) {
      this.#queue = queue.slice(this.#next);
      this.#next = 0;
    }
    this.#regulate();
  }

  /** Reads no more while too many requests wait for an answer, or answers for the client. */
  #regulate(): void {
    if (this.#finished) return;
    const waiting = this.#queue.length - this.#next;
    const pause = !this.#writable || waiting >= leaseKeepAlivesInFlightMax;
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#call.pause();
    else this.#call.resume();
  }

  fail(error: unknown): void {
    if (this.#finished) return;
    this.#finish();
    failLeaseCall(this.#call, error);
  }

  #finish(): void {
    this.#finished = true;
    this.#releaseGate?.();
    this.#releaseGate = undefined;
    this.#queue = [];
    this.#next = 0;
  }
}
