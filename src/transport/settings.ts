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
  readonly sender: Sender;
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

/** Obeys the payload of a SETTINGS frame, `from[start, end)`; throws if a value is not allowed. */
export function applySettings(
  target: SettingsTarget,
  isServer: boolean,
  from: Buffer,
  start: number,
  end: number,
): void {
  for (let at = start; at < end; at += 6) {
    applySetting(target, isServer, readU32(from, at) >>> 16, readU32(from, at + 2));
  }
}

function applySetting(
  target: SettingsTarget,
  isServer: boolean,
  setting: number,
  value: number,
): void {
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
    target.sender.changeInitialWindow(value, target.streams.values());
  } else if (setting === settingMaxFrameSize) {
    // We never send more than the smallest value permitted here.
    if (value < frameBytesMax || value > 0xff_ffff) throw protocolError('MAX_FRAME_SIZE');
  }
}
