/** What the options of watches must be. */

import { callShape } from '../call/index.js';
import { flag, oneOf, type Shape, wholeNumber } from '../strict/index.js';
import type { WatchFromOptions, WatchOptions } from './types.js';

const common = {
  signal: callShape.signal,
  metadata: callShape.metadata,
  prev: flag,
  progress: flag,
  bufferEventsMax: wholeNumber(1),
  onInvalid: oneOf('throw', 'report'),
} as const;

export const watchShape: Shape<WatchOptions> = {
  ...common,
  fromRevision: wholeNumber(1),
  only: oneOf('put', 'delete'),
};

export const watchFromShape: Shape<WatchFromOptions> = {
  ...common,
  revision: wholeNumber(1),
  onCompacted: oneOf('resync', 'throw'),
};
