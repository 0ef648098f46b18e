/** All codecs under one name, so that an editor lists them. */

import { bytes, json, text, typed } from './value-codec.js';

/** What `codecs` has. */
export interface Codecs {
  readonly bytes: typeof bytes;
  readonly text: typeof text;
  readonly json: typeof json;
  readonly typed: typeof typed;
}

/** Kinds of values, for `kv.as(...)`: `codecs.json<Node>()`. */
export const codecs: Codecs = { bytes, text, json, typed };
