/** Removes what is left of an older checkpoint or journal. */

import { assert, type KvChange, type KvStore, scanPageBytes } from '../../common/index.js';

/** Deletes all keys in [gte, lt), page by page. */
export async function clearRange(kv: KvStore, gte: Buffer, lt: Buffer): Promise<void> {
  assert(Buffer.compare(gte, lt) <= 0, 'a range begins before it ends');
  for (;;) {
    const page = await kv.scan({ gte, lt, countMax: 1000, bytesMax: scanPageBytes });
    if (page.length === 0) return;
    const changes: KvChange[] = page.map(([key]) => ({ key }));
    await kv.write(changes, { sync: false });
  }
}
