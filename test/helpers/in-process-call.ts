import type { GrpcCode, PeerIdentity } from '../../src/common/index.js';
import type { MethodHandler, ServerCall } from '../../src/transport/index.js';

const nobody: PeerIdentity = { commonName: '', certificateVerified: false };

/** What a unary rpc answered: its message, or the code and text of its error. */
export type Outcome =
  | { readonly ok: true; readonly message: Buffer }
  | { readonly ok: false; readonly code: GrpcCode; readonly text: string };

/**
 * Calls a handler without a network in between; `onCall` is given what cancels the call: what is
 * answered after that reaches nobody. `token`: of who calls.
 */
export function callUnary(
  methods: ReadonlyMap<string, MethodHandler>,
  method: string,
  request: Uint8Array,
  onCall?: (cancel: () => void) => void,
  token?: string,
): Promise<Outcome> {
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
      peer: { address: 'in-process', identity: nobody },
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
      hasRoom: true,
      hasShortRoom: true,
      whenRoom: (run) => run(),
      takeRoom: () => undefined,
      settleRoom: () => {},
      leaveRoom: () => {},
      onDrain: undefined,
      onMessage: undefined,
      onEnd: undefined,
      pause: () => {},
      resume: () => {},
    };
    onCall?.(() => {
      if (ended || call.cancelled) return;
      call.cancelled = true;
      call.onCancel?.();
    });
    handler.handle(Buffer.from(request), call);
  });
}
