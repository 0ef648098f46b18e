/** What the program is called decides what it is: a link of the name `etcdctl` is that. */

import { basename } from 'node:path';

/** What comes after the name of the program; `name`: its path, as it was called. */
export function argumentsOf(name: string, after: readonly string[]): readonly string[] {
  return /^etcdctl(\.exe|\.js)?$/i.test(basename(name)) ? ['ctl', ...after] : after;
}
