/** Everything that a client tells of what it does. Types only. No secret is in any of it. */

import type { LeaseId, Revision } from '../../common/index.js';
import type { ConnectionEvent } from '../connection/index.js';
import type { EtcdClientError } from '../errors.js';

/** Unary calls. */
export type CallEvent =
  | {
      /** A call failed, and is sent again after a pause. */
      readonly type: 'retry';
      readonly method: string;
      readonly key: string | undefined;
      readonly endpoint: string | undefined;
      /** Which attempt failed; the first is 1. */
      readonly attempt: number;
      readonly delayMs: number;
      /** What it failed with. */
      readonly error: EtcdClientError;
    }
  | {
      /** A call is over, retries included. */
      readonly type: 'callEnded';
      readonly method: string;
      readonly key: string | undefined;
      readonly endpoint: string | undefined;
      readonly attempts: number;
      readonly durationMs: number;
      /** Undefined: it succeeded. */
      readonly error: Error | undefined;
    };

/** Streams: of all watches, of all kept leases, and of single large answers. */
export type StreamEvent =
  | { readonly type: 'streamOpened'; readonly method: string; readonly endpoint: string }
  | {
      readonly type: 'streamEnded';
      readonly method: string;
      readonly endpoint: string;
      /** Undefined: as was wanted. */
      readonly error: EtcdClientError | undefined;
    };

/** Watches. `key`: where the range begins. */
export type WatchStateEvent =
  | {
      /** The server has it; `resumed` if it was there before, and goes on. */
      readonly type: 'watchCreated';
      readonly key: string;
      readonly fromRevision: Revision;
      readonly resumed: boolean;
    }
  /** The reader is behind: it goes on when the reader has caught up. */
  | { readonly type: 'watchPaused'; readonly key: string; readonly bufferedEvents: number }
  | {
      readonly type: 'watchEnded';
      readonly key: string;
      readonly error: Error | undefined;
    };

/** Leases that are kept alive. */
export type LeaseEvent =
  | { readonly type: 'leaseRenewed'; readonly id: LeaseId; readonly ttlSeconds: number }
  | { readonly type: 'leaseWarning'; readonly id: LeaseId; readonly remainingMs: number }
  | { readonly type: 'leaseRecovered'; readonly id: LeaseId }
  | { readonly type: 'leaseLost'; readonly id: LeaseId; readonly error: EtcdClientError }
  | { readonly type: 'leaseStopped'; readonly id: LeaseId };

export type ClientEvent = ConnectionEvent | CallEvent | StreamEvent | WatchStateEvent | LeaseEvent;
