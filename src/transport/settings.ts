/** SETTINGS (RFC 9113 section 6.5): what we say, and what the peer's mean to our sender. */

import {
  ConnectionError,
  ErrorCode,
  protocolError,
  readU32,
  settingEnablePush,
  settingHeaderTableSize,
  settingInitialWindowSize,
  settingMaxConcurrentStreams,
  settingMaxFrameSize,
  settingMaxHeaderListSize,
} from './frames.js';
import { frameBytesMax, windowBytesMax } from './limits.js';
import type { Sender } from './sender.js';
import type { StreamTable } from './stream-table.js';
import type { TransportLimits } from './types.js';

/** What the peer's settings change. */
export interface SettingsTarget {
  readonly sender: Pick<Sender, 'encoder' | 'changeInitialWindow'>;
  readonly streams: Pick<StreamTable, 'values'>;
  peerConcurrentStreamsMax: number;
}

/** Ours: the windows and limits that differ from the defaults. */
export function ownSettings(
  limits: TransportLimits,
  isServer: boolean,
): ReadonlyArray<readonly [number, number]> {
  return [
    [settingInitialWindowSize, limits.streamWindowBytes],
    [settingMaxHeaderListSize, limits.headerListBytesMax],
    isServer ? [settingMaxConcurrentStreams, limits.concurrentStreamsMax] : [settingEnablePush, 0],
  ];
}

/**
 * Obeys the payload of a SETTINGS frame, `from[start, end)`; throws if a value is not allowed. Of
 * several values for a setting the last one counts, for nothing is sent in between. Returns how
 * many streams that was work for, so that it can be charged.
 */
export function applySettings(
  target: SettingsTarget,
  isServer: boolean,
  from: Buffer,
  start: number,
  end: number,
): number {
  let initialWindow = -1;
  for (let at = start; at < end; at += 6) {
    const setting = readU32(from, at) >>> 16;
    const value = readU32(from, at + 2);
    if (setting === settingHeaderTableSize) {
      target.sender.encoder.limitTable(value);
    } else if (setting === settingEnablePush) {
      if (value > 1 || (value === 1 && !isServer)) throw protocolError('ENABLE_PUSH');
    } else if (setting === settingMaxConcurrentStreams) {
      target.peerConcurrentStreamsMax = value;
    } else if (setting === settingInitialWindowSize) {
      if (value > windowBytesMax) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE');
      }
      initialWindow = value;
    } else if (setting === settingMaxFrameSize) {
      // We never send more than the smallest value permitted here.
      if (value < frameBytesMax || value > 0xff_ffff) throw protocolError('MAX_FRAME_SIZE');
    }
  }
  if (initialWindow < 0) return 0;
  return target.sender.changeInitialWindow(initialWindow, target.streams);
}
