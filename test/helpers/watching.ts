/** Small steps that most watch tests share. */

import type { Duplex, RawClient } from './grpc.js';
import type { Event, WatchCreateRequest, WatchRequest, WatchResponse } from './grpc-types.js';

/** A watch stream. */
export type WatchStream = Duplex<WatchRequest, WatchResponse>;

/** Creates a watcher on the stream and reads its created reply, which must come next. */
export async function createWatch(
  stream: WatchStream,
  request: WatchCreateRequest,
): Promise<WatchResponse> {
  stream.send({ create_request: request });
  const reply = await stream.reader.next();
  if (!reply.created) throw new Error(`a message for watch ${reply.watch_id} came first`);
  return reply;
}

/** Reads responses until `count` events have come; more than that is an error. */
export async function readEvents(stream: WatchStream, count: number): Promise<Event[]> {
  const events: Event[] = [];
  while (events.length < count) events.push(...(await stream.reader.next()).events);
  if (events.length > count) throw new Error(`${events.length} events instead of ${count}`);
  return events;
}

/** `put key=value` or `delete key`, with the revision, for comparing lists of events. */
export function describeEvent(event: Event): string {
  const key = event.kv.key.toString('latin1');
  const at = `@${event.kv.mod_revision}`;
  return event.type === 1
    ? `delete ${key} ${at}`
    : `put ${key}=${event.kv.value.toString('latin1')} ${at}`;
}

/** The store's revision now, as a number. */
export async function currentRevision(client: RawClient): Promise<number> {
  const reply = await client.range({ key: Buffer.from([0]), limit: 1 });
  return Number(reply.header?.revision);
}
