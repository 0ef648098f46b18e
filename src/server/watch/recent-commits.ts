/** The last commits, bounded, for watchers that are about to have read all of history. */

import { assert, type Revision } from '../../common/index.js';
import type { MvccCommit } from '../../storage/index.js';

/** Commits, and bytes of their events, above which the older half is forgotten. */
const commitsMax = 4096;
const bytesMax = 8 * 1024 * 1024;

/** Without a gap up to the last revision that was published, or none. */
export class RecentCommits {
  #commits: MvccCommit[] = [];
  #bytes = 0;

  add(commit: MvccCommit): void {
    const last = this.#commits.at(-1);
    assert(
      last === undefined || commit.revision === last.revision + 1,
      'recent commits have no gap between them',
    );
    this.#commits.push(commit);
    this.#bytes += bytesOf(commit);
    if (this.#commits.length <= commitsMax && this.#bytes <= bytesMax) return;
    this.#commits = this.#commits.slice((this.#commits.length >> 1) + 1);
    this.#bytes = 0;
    for (const kept of this.#commits) this.#bytes += bytesOf(kept);
  }

  forget(): void {
    this.#commits = [];
    this.#bytes = 0;
  }

  /** Whether everything from `revision` on is there. */
  covers(revision: Revision): boolean {
    const first = this.#commits[0];
    return first !== undefined && first.revision <= revision;
  }

  from(revision: Revision): readonly MvccCommit[] {
    return this.#commits.filter((commit) => commit.revision >= revision);
  }
}

/** What a commit keeps in memory, about: an event holds its value and the one before. */
function bytesOf(commit: MvccCommit): number {
  let bytes = 0;
  for (const event of commit.events) bytes += 2 * event.kv.length;
  return bytes;
}
