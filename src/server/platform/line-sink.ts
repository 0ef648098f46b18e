/** Where lines go; `write` gets one line with its newline. */
export interface LineSink {
  write(line: string): unknown;
  flushSync(): void;
  /** Writes what is left; `close` then tells the listener, also if it fails. */
  end(): void;
  once(event: 'close' | 'error', listener: () => void): unknown;
}
