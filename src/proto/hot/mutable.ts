/** A message while it is being decoded; the codecs hand it out as its readonly self. */
export type Mutable<T> = { -readonly [K in keyof T]: T[K] };
