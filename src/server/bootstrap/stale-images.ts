/** Files of an earlier run of this process that nobody will ever ask for again. */

import type { Disk } from '../../common/index.js';

const imageName = /^snapshot-\d+\.tmp$/;

/** Name, in the directory of the member, of the image that a snapshot is sent from. */
export function imageFileName(number: number): string {
  return `snapshot-${number}.tmp`;
}

/** Removes the images that a crash left behind. */
export async function removeStaleImages(disk: Disk, memberDir: string): Promise<void> {
  for (const name of await disk.list(memberDir)) {
    if (imageName.test(name)) await disk.remove(`${memberDir}/${name}`);
  }
}
