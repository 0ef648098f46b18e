/** The memory of a server, from its metrics. */

import type { RawClient } from '../../client/raw/index.js';
import type { CommandContext } from '../command/index.js';

const name = 'process_resident_memory_bytes';

const timeoutMs = 10_000;
/** All metrics are some 100 kB. */
const bytesMax = 10_000_000;

/** Of the first endpoint; 0 if it can't be told, which is said then. */
export async function residentBytes(
  { io, global }: CommandContext,
  client: RawClient,
): Promise<number> {
  const [endpoint = ''] = global.endpoints;
  const base = endpoint.includes('://') ? endpoint : `http://${endpoint}`;
  const answer = await client.get({ endpoint: base, path: '/metrics', timeoutMs, bytesMax });
  if (answer.error !== undefined) {
    await io.stdout(`fetch error: ${answer.error}\n`);
    return 0;
  }
  const line = answer.body.split('\n').find((one) => one.startsWith(name));
  if (line === undefined) {
    await io.stdout(`could not find: ${name}\n`);
    return 0;
  }
  return Number(line.slice(name.length).trim());
}
