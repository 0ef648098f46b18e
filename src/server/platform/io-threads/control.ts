/** What is seldom said between the core and a thread with sockets, as messages of its port. */

import type {
  NetworkAddress,
  TlsDenial,
  TlsOptions,
  TlsPresented,
  TlsRefusal,
} from '../../../common/index.js';
import type { RingMemory } from './ring.js';

/** What a thread is started with. */
export interface ThreadStart {
  readonly toCore: RingMemory;
  readonly toThread: RingMemory;
  readonly coreBell: SharedArrayBuffer;
  readonly threadBell: SharedArrayBuffer;
}

/** TLS of a listener without its functions: those stay with the core, which is asked. */
export interface PlainTls
  extends Omit<TlsOptions, 'current' | 'denial' | 'onRefused' | 'insecureSkipVerify'> {
  readonly asksDenial: boolean;
}

/** What is cloned of a certificate that was presented; the core makes the rest of `der`. */
export interface PlainPresented extends Omit<TlsPresented, 'isFor'> {
  /** The own certificate of the other side. */
  readonly der: Uint8Array;
}

/** What is said of an error of a socket; a clone of the error would lose its code. */
export interface ListenFailure {
  readonly message: string;
  readonly code?: string;
  readonly syscall?: string;
  readonly address?: string;
  readonly port?: number;
}

export type ToThread =
  | {
      readonly type: 'listen';
      readonly listener: number;
      readonly address: NetworkAddress;
      readonly sharesPort: boolean;
      readonly tls: PlainTls | undefined;
      /** Ask before each handshake whether `tls` has changed. */
      readonly asksTls: boolean;
    }
  | { readonly type: 'close'; readonly listener: number }
  /** What was said before in the ring is still done; then the thread may be ended. */
  | { readonly type: 'stop' }
  /** `tls` undefined: unchanged. */
  | { readonly type: 'tls'; readonly listener: number; readonly tls: PlainTls | undefined }
  | {
      readonly type: 'denial';
      readonly question: number;
      readonly denial: TlsDenial | undefined;
    };

export type FromThread =
  | { readonly type: 'listens'; readonly listener: number; readonly address: NetworkAddress }
  | { readonly type: 'failed'; readonly listener: number; readonly error: ListenFailure }
  | { readonly type: 'closed'; readonly listener: number }
  | { readonly type: 'stopped' }
  /** Before a handshake; answered by `tls`, in the order of the questions. */
  | { readonly type: 'askTls'; readonly listener: number }
  | {
      readonly type: 'askDenial';
      readonly listener: number;
      readonly question: number;
      readonly presented: PlainPresented;
    }
  | { readonly type: 'refused'; readonly listener: number; readonly refusal: TlsRefusal };

/** What can be cloned of `tls`. */
export function plainTls(tls: TlsOptions): PlainTls {
  const {
    current: _current,
    denial,
    onRefused: _onRefused,
    insecureSkipVerify: _skip,
    ...plain
  } = tls;
  return { ...plain, asksDenial: denial !== undefined };
}
