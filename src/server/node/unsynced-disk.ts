/** --unsafe-no-fsync: what was written counts as durable. Data are lost with power, not with a crash. */

import type { Disk, DiskFile } from '../../common/index.js';

const done = Promise.resolve();

/** `disk`, of which nothing is waited for. */
export function unsyncedDisk(disk: Disk): Disk {
  return {
    open: async (path, mode) => unsyncedFile(await disk.open(path, mode)),
    list: (dir) => disk.list(dir),
    mkdir: (dir) => disk.mkdir(dir),
    mode: (dir) => disk.mode(dir),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDir: () => done,
  };
}

function unsyncedFile(file: DiskFile): DiskFile {
  return {
    read: (offset, length) => file.read(offset, length),
    write: (offset, chunks) => file.write(offset, chunks),
    writeDurable: (offset, chunks) => file.write(offset, chunks),
    sync: () => done,
    truncate: (size) => file.truncate(size),
    size: () => file.size(),
    close: () => file.close(),
  };
}
