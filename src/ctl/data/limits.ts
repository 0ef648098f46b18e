/** Bounds of the commands about data, with the reason beside each. None of them holds a key space. */

/** Keys of a page without their values: a reply of some hundred kilobytes. */
export const pageKeysMax = 1_000;
/**
 * Keys of a page with their values. Pages grow and shrink towards `pageBytesTarget`; should all
 * values of the largest page be as large as a server takes them, that is 400 MB once.
 */
export const valuePageKeysMax = 256;
/** Of the first page: nobody knows yet how large the values are. */
export const firstPageKeys = 16;
export const pageBytesTarget = 1024 * 1024;
/** Keys of a transaction that changes them: below etcd's --max-txn-ops of 128. */
export const txnKeysMax = 100;
/** Keys and values of a transaction, sent twice in it at most: below etcd's 1.5 MiB of a request. */
export const txnBytesMax = 512 * 1024;
/** A value above this is compared here and not in a transaction, which would have it twice. */
export const comparedBytesMax = 256 * 1024;
/** Attempts at one key that others change all the time. */
export const attemptsMax = 20;
/** Prefixes and keys that `tree` and `du` remember; the deepest level goes if there are more. */
export const treeNodesMax = 20_000;
/** A line of `import`: a key and a value as large as a server takes them, in base64. */
export const lineBytesMax = 8 * 1024 * 1024;
/** Leases that an export or an import remembers; some hundred bytes each. */
export const leasesMax = 10_000;
/** What `history` has read and its reader has not; then the watch begins anew behind it. */
export const historyBufferBytesMax = 16 * 1024 * 1024;
/** Between questions whether a watch has told all that was there. */
export const progressIntervalMs = 50;
/** JSON values are compared field by field down to here, and shown up to so many changes. */
export const jsonDepthMax = 100;
export const jsonChangesMax = 200;
/** What a rollback shows of its keys before it asks. */
export const planKeysMax = 10;
/** A template has all keys of its prefixes at hand. */
export const renderKeysMax = 100_000;
export const renderBytesMax = 64 * 1024 * 1024;
/** What one rendering may allocate and do, in the units of the template library. */
export const renderMemoryMax = 256 * 1024 * 1024;
export const renderMsMax = 10_000;
/** Template, configuration and the file that is there: larger ones are something else. */
export const fileBytesMax = 64 * 1024 * 1024;
/** Pauses while the cluster is away, or a program fails: doubled up to the maximum. */
export const retryMsMin = 250;
export const retryMsMax = 30_000;
/** Changes that never calm down are rendered after so many times the interval of calm. */
export const calmTimesMax = 10;
