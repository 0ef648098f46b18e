/** What went through the ports of a server: each write to a socket, a file or the database is one. */
export class PortCounters {
  socketWrites = 0;
  socketBytes = 0;
  diskWrites = 0;
  diskBytes = 0;
  kvWrites = 0;
  kvBytes = 0;
  timers = 0;
  /** Nobody should end a connection meanwhile. */
  isMeasured = true;

  /** All of them, by name. */
  all(): PortCounts {
    const { socketWrites, socketBytes, diskWrites, diskBytes, kvWrites, kvBytes, timers } = this;
    return { socketWrites, socketBytes, diskWrites, diskBytes, kvWrites, kvBytes, timers };
  }
}

/** See {@link PortCounters}. */
export interface PortCounts {
  readonly socketWrites: number;
  readonly socketBytes: number;
  readonly diskWrites: number;
  readonly diskBytes: number;
  readonly kvWrites: number;
  readonly kvBytes: number;
  readonly timers: number;
}

/** What was counted between two moments. */
export function differenceOf(after: PortCounts, before: PortCounts): PortCounts {
  const names = Object.keys(after) as Array<keyof PortCounts>;
  return Object.fromEntries(names.map((each) => [each, after[each] - before[each]])) as {
    [Name in keyof PortCounts]: number;
  };
}

/** Bytes that were copied from one buffer to another, and buffers that were made. */
export interface BufferCounts {
  readonly bytesCopied: number;
  readonly buffersMade: number;
}

/**
 * Counts what is done with buffers by standing in for the functions that do it, from this call on.
 * They are slower then: nothing else should be measured. Views are no buffers, and stores of single
 * bytes no copies.
 */
export function countBuffers(): () => BufferCounts {
  let bytesCopied = 0;
  let buffersMade = 0;
  const bytes = Uint8Array.prototype;
  const { set } = bytes;
  bytes.set = function (this: Uint8Array, from: ArrayLike<number>, at?: number): void {
    bytesCopied += from.length;
    set.call(this, from, at);
  };
  const { copy } = Buffer.prototype;
  Buffer.prototype.copy = function (this: Buffer, ...args: Parameters<Buffer['copy']>): number {
    const copied = copy.apply(this, args);
    bytesCopied += copied;
    return copied;
  };
  const makers = Buffer as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow', 'from', 'concat']) {
    const make = makers[name] as (...args: unknown[]) => unknown;
    makers[name] = (...args) => {
      buffersMade += 1;
      const made = make.apply(Buffer, args) as Buffer;
      if (name === 'from' || name === 'concat') bytesCopied += made.length;
      return made;
    };
  }
  return () => ({ bytesCopied, buffersMade });
}
