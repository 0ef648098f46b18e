/**
 * The frame layer of RFC 9113 (sections 4, 6, 7): numbers, the nine-byte header, and the error
 * that a violation becomes. Frames are written by byte stores into an output segment, because
 * `Buffer.writeUIntBE` and a Buffer for each frame cost more than the frame.
 */

export const frameHeaderBytes = 9;

export const frameData = 0;
export const frameHeaders = 1;
export const framePriority = 2;
export const frameRstStream = 3;
export const frameSettings = 4;
export const framePushPromise = 5;
export const framePing = 6;
export const frameGoaway = 7;
export const frameWindowUpdate = 8;
export const frameContinuation = 9;

export const flagEndStream = 0x1;
export const flagAck = 0x1;
export const flagEndHeaders = 0x4;
export const flagPadded = 0x8;
export const flagPriority = 0x20;

export const settingHeaderTableSize = 1;
export const settingEnablePush = 2;
export const settingMaxConcurrentStreams = 3;
export const settingInitialWindowSize = 4;
export const settingMaxFrameSize = 5;
export const settingMaxHeaderListSize = 6;

/** RFC 9113 section 7. */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** What a client sends first (RFC 9113 section 3.4). */
export const clientPreface: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** A violation that ends the connection; the text travels as GOAWAY debug data. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A {@link ConnectionError} for what the peer must not do. */
export function protocolError(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.PROTOCOL_ERROR, what);
}

/** A {@link ConnectionError} for a frame of a wrong length. */
export function frameSizeError(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `${what} of a wrong size`);
}

/** Writes a frame header at `at`; there must be room. */
export function writeFrameHeader(
  out: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  out[at + 5] = streamId >>> 24;
  out[at + 6] = streamId >>> 16;
  out[at + 7] = streamId >>> 8;
  out[at + 8] = streamId;
}

/** Writes 32 bits, big endian. */
export function writeU32(out: Buffer, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}

/** Reads 32 bits, big endian, unsigned. */
export function readU32(from: Buffer, at: number): number {
  return (
    (((from[at] as number) << 24) |
      ((from[at + 1] as number) << 16) |
      ((from[at + 2] as number) << 8) |
      (from[at + 3] as number)) >>>
    0
  );
}
