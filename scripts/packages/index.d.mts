/** Types of index.mjs, for its tests. */

export const packageFolders: readonly ('client' | 'kvorum' | 'testing')[];

/** How to run npm: file and arguments. */
export type Npm = (args: readonly string[]) => { file: string; args: readonly string[] };

/** Returns the modules that each package has code of, as paths from `root`. */
export function assemblePackages(
  root: string,
  out: string,
): Promise<ReadonlyMap<string, readonly string[]>>;

export function packFolders(out: string, npm: Npm): readonly string[];
