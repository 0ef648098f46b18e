/** What calls need of the connection they are on; so that calls do not depend on who makes them. */

import type { Clock } from '../common/index.js';
import type { Connection } from './connection.js';
import type { DeadlineWheel } from './deadline-wheel.js';
import type { ReplyTemplates } from './grpc-status.js';
import type { SendRoom } from './send-room.js';
import type { Stream } from './stream.js';
import type { CallObserver, CallOptions, PeerOfCall, TransportLimits } from './types.js';

/** For calls at the server. */
export interface ServerCallHost {
  readonly connection: Connection;
  readonly templates: ReplyTemplates;
  readonly peer: PeerOfCall;
  readonly clock: Clock;
  readonly limits: TransportLimits;
  readonly wheel: DeadlineWheel;
  readonly observe: CallObserver | undefined;
  readonly room: SendRoom;
}

/** For calls at the client. */
export interface ClientCallHost {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly limits: TransportLimits;
  readonly wheel: DeadlineWheel;
  /** Writes the head of a request; `timeoutMs` is -1 without. */
  sendHead(stream: Stream, method: string, options: CallOptions, timeoutMs: number): void;
}
