import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeDisk } from '../../src/server/platform/disk-node.js';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kvorum-mkdir-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

const noProc = existsSync('/proc/self') ? '' : ' (left out: no /proc here)';

describe('making directories on the real disk', () => {
  it('makes parents, for the owner alone, and finds them made', async () => {
    await nodeDisk.mkdir(join(dir, 'a/b/c'));
    await nodeDisk.mkdir(join(dir, 'a/b/c'));
    expect(statSync(join(dir, 'a/b/c')).mode & 0o777).toBe(0o700);
  });

  it('refuses where a file is in the way', async () => {
    writeFileSync(join(dir, 'file'), '');
    await expect(nodeDisk.mkdir(join(dir, 'file'))).rejects.toThrow('EEXIST');
    await expect(nodeDisk.mkdir(join(dir, 'file/below'))).rejects.toThrow('ENOTDIR');
  });

  it.skipIf(noProc !== '')(`gives up where no directory can be made${noProc}`, async () => {
    await expect(nodeDisk.mkdir('/proc/kvorum/member')).rejects.toThrow('ENOENT');
  });
});
