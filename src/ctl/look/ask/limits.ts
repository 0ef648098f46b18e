/** Bounds of what is asked, with their reasons. */

/** A member with many peers and methods tells some hundred kilobytes. */
export const metricsBytesMax = 16 * 1024 * 1024;
/** Prefixes that are remembered: a screen has room for some dozen. */
export const prefixesMax = 200;
/** Keys asked for at a time: half a megabyte if they are long. */
export const pageKeys = 1_000;
/** Calls that one count of prefixes may cost; what is not reached by then is said to be left out. */
export const prefixCallsMax = 400;
