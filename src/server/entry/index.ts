/** Entries of the log: their bytes, their kinds, and what a feature says of a kind. */
export * from './format.js';
export * from './type.js';
