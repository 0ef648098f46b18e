/** Types of release.mjs, for its test. */

export function nextVersion(from: string, asked: string): string;
