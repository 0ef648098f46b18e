/**
 * What the core and a thread with sockets tell each other in rings. A record names its stream by a
 * slot, which the thread gives and takes back: rings keep the order, so the core's `released` is
 * the last that it says of a stream, and nothing of an old one can meet a new one in its slot.
 */

/** From a thread with sockets to the core. */
export const fromThread = {
  /** A stream; `extra`: its listener; JSON of {@link StreamFacts}. */
  opened: 1,
  /** Bytes that came. */
  data: 2,
  /** The other side sends no more. */
  end: 3,
  /** `extra`: so many more bytes have left. */
  sent: 4,
  /** JSON of {@link CloseFacts}; nothing if it was orderly. Nothing comes after it. */
  closed: 5,
} as const;

/** From the core to a thread with sockets. */
export const fromCore = {
  data: 1,
  end: 2,
  destroy: 3,
  pause: 4,
  resume: 5,
  /** Answers `closed`. */
  released: 6,
  /** `extra`: so many more bytes of `data` have been handled. */
  taken: 7,
} as const;

/** What does not change of a stream. */
export interface StreamFacts {
  readonly remoteAddress: string;
  readonly alpnProtocol: string;
  readonly commonName: string;
  readonly certificateVerified: boolean;
}

/** Why a stream was not closed in an orderly way. */
export interface CloseFacts {
  readonly message: string;
  readonly code: string | undefined;
}
