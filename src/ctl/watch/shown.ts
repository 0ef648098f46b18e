/** Answers of a watch, as etcdctl shows them; and for people. */

import { EventType, jsonMessage, messageBytes, type WatchResponse } from '../../proto/index.js';
import { keyValueFields, keyValueLines, prettyKey, prettyKeyValue } from '../answers/index.js';
import {
  headerFields,
  messageFields,
  messageJson,
  type Paint,
  type Shown,
} from '../print/index.js';

const type = 'etcdserverpb.WatchResponse';

type Event = WatchResponse['events'][number];

/** `PUT` or `DELETE`. */
export function eventName(event: Event): string {
  return event.type === EventType.PUT ? 'PUT' : 'DELETE';
}

/** Of `watch`. */
export function watchShown(bytes: Buffer, response: WatchResponse, hex: boolean): Shown {
  const { events } = response;
  return {
    ...{ type, bytes },
    simple: () => Buffer.concat(events.flatMap((event) => eventLines(event, hex))),
    pretty: (paint) => events.map((event) => prettyEvent(event, paint)).join(''),
    json: () => goWatchResponse(bytes, response),
    fields: () => {
      const { header } = messageFields(bytes, type);
      const lines = events.map((event) => eventFields(event, hex));
      return headerFields(header as Parameters<typeof headerFields>[0], hex) + lines.join('');
    },
    // As etcd's client has it: without the number of the watch.
    protobuf: () => {
      const {
        watch_id: _id,
        cancel_reason: _reason,
        fragment: _fragment,
        ...kept
      } = messageFields(bytes, type);
      return messageBytes(kept, jsonMessage(type));
    },
  };
}

/** etcdctl's JSON of it is not the message, but what its client makes of it. */
function goWatchResponse(bytes: Buffer, response: WatchResponse): unknown {
  const { header = {}, events = null } = messageJson(bytes, type);
  return {
    Header: header,
    Events: events,
    CompactRevision: response.compactRevision,
    Canceled: response.canceled,
    Created: response.created,
    CancelReason: response.cancelReason,
  };
}

function eventLines(event: Event, hex: boolean): Buffer[] {
  const before = event.prevKv === undefined ? [] : [keyValueLines(event.prevKv, { hex })];
  return [Buffer.from(`${eventName(event)}\n`), ...before, keyValueLines(event.kv, { hex })];
}

function eventFields(event: Event, hex: boolean): string {
  return [
    `"Type" : ${eventName(event)}\n`,
    event.prevKv === undefined ? '' : keyValueFields('Prev', event.prevKv, hex),
    keyValueFields('', event.kv, hex),
  ].join('');
}

function prettyEvent(event: Event, paint: Paint): string {
  const { kv, prevKv } = event;
  if (kv === undefined) return '';
  const before = prevKv === undefined ? '' : paint.dim('was ') + prettyKeyValue(prevKv, paint);
  if (event.type === EventType.PUT) {
    return `${paint.green('PUT')}    ${prettyKeyValue(kv, paint)}${before}`;
  }
  const revision = paint.dim(`  revision ${kv.modRevision}`);
  return `${paint.red('DELETE')} ${prettyKey(kv.key, paint)}${revision}\n${before}`;
}

/** What a line says of progress. */
export function progressLine(response: WatchResponse): string {
  return `progress notify: ${response.header?.revision ?? 0}\n`;
}

/** The server says how far it is, and nothing else. */
export function isProgress({ events, canceled, created, compactRevision, header }: WatchResponse) {
  const nothing = events.length === 0 && !canceled && !created && compactRevision === 0;
  return nothing && header !== undefined && header.revision !== 0;
}
