import { EtcdError, type GrpcCode, type PeerIdentity } from '../../src/common/index.js';
import type { MethodHandler, RoomUser, SendRoom, ServerCall } from '../../src/transport/index.js';

const nobody: PeerIdentity = { commonName: '', certificateVerified: false };

/** Of whoever has a certificate with this name; '' is nobody. */
function identityOf(commonName: string): PeerIdentity {
  return commonName === '' ? nobody : { commonName, certificateVerified: true };
}

/** What a unary rpc answered: its message, or the code and text of its error. */
export type Outcome =
  | { readonly ok: true; readonly message: Buffer }
  | { readonly ok: false; readonly code: GrpcCode; readonly text: string };

/** Where answers take their memory from, as those of a connection do. */
export interface InProcessRoom {
  readonly room: SendRoom;
  readonly user: RoomUser;
}

/**
 * Calls a handler without a network in between; `onCall` is given what cancels the call: what is
 * answered after that reaches nobody. `token`: who calls. `memory`: what answers take; without it
 * nobody counts.
 */
export function callUnary(
  methods: ReadonlyMap<string, MethodHandler>,
  method: string,
  request: Uint8Array,
  onCall?: (cancel: () => void) => void,
  token?: string,
  memory?: InProcessRoom,
  certificateOf = '',
): Promise<Outcome> {
  const hold = memory?.room.hold(memory.user);
  const handler = methods.get(method);
  if (handler === undefined || handler.kind !== 'unary') throw new Error(`no method ${method}`);
  return new Promise((resolve) => {
    let ended = false;
    const end = (outcome: Outcome): void => {
      if (ended) throw new Error(`${method} was answered twice`);
      ended = true;
      resolve(outcome);
    };
    const call: ServerCall & { cancelled: boolean } = {
      method,
      peer: { address: 'in-process', identity: identityOf(certificateOf) },
      deadlineMs: undefined,
      metadata: (key) => (key === 'token' ? token : undefined),
      binaryMetadata: () => undefined,
      cancelled: false,
      onCancel: undefined,
      reply: (message) => end({ ok: true, message: Buffer.from(message) }),
      replyParts: (parts) => end({ ok: true, message: Buffer.concat(parts) }),
      fail: (code, text) => end({ ok: false, code, text }),
      send: () => true,
      sendParts: () => true,
      end: () => {},
      backlogBytes: 0,
      get hasRoom() {
        return memory?.room.has(memory.user) ?? true;
      },
      get hasShortRoom() {
        return memory?.room.has(memory.user, true) ?? true;
      },
      whenRoom(run, heldBytes, isShort) {
        if (memory === undefined) run();
        else if (memory.room.wait(memory.user, run, heldBytes, isShort) === undefined) {
          const { code, message: text } = new EtcdError('TOO_MANY_REQUESTS');
          end({ ok: false, code, text });
        }
      },
      takeRoom: (bytes) => hold?.take(bytes),
      settleRoom: () => hold?.settle(),
      leaveRoom: () => hold?.leave(),
      onDrain: undefined,
      onMessage: undefined,
      onEnd: undefined,
      pause: () => {},
      resume: () => {},
    };
    onCall?.(() => {
      if (ended || call.cancelled) return;
      call.cancelled = true;
      hold?.cancel();
      call.onCancel?.();
    });
    handler.handle(Buffer.from(request), call);
  });
}
