/** What a connection tells whoever runs it; so that it does not depend on who that is. */

import type { HeaderBlock } from './hpack-decode.js';
import type { Stream } from './stream.js';

/** Who runs a connection: the gRPC server or client. */
export interface ConnectionOwner {
  /** Server: a request began; its head is well formed. Must set `stream.owner`. */
  onStream(stream: Stream, block: HeaderBlock, endStream: boolean): void;
  /** The peer's SETTINGS arrived. */
  onSettings(): void;
  /** The peer will take no more streams, and has not looked at those above `lastStreamId`. */
  onGoaway(lastStreamId: number, code: number, debug: string): void;
  /** A stream left the table. */
  onStreamGone(): void;
  /** Last call. All streams were aborted before. */
  onClosed(error: Error | undefined): void;
}
