/** All codecs under one name, so that an editor lists them. */

import { bytes, json, text, typed } from './value-codec.js';

/** Kinds of values, for `kv.as(...)`: `codecs.json<Node>()`. */
export const codecs = { bytes, text, json, typed } as const;
