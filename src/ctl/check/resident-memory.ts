/** The memory of a server, from its metrics. */

import type { CommandContext } from '../command/index.js';

const name = 'process_resident_memory_bytes';

/** Of the first endpoint; 0 if it can't be told, which is said then. */
export async function residentBytes(context: CommandContext): Promise<number> {
  const { io, global } = context;
  const [endpoint = ''] = global.endpoints;
  const base = endpoint.includes('://') ? endpoint : `http://${endpoint}`;
  let text: string;
  try {
    text = await io.fetchText(`${base}/metrics`);
  } catch (error) {
    await io.stdout(`fetch error: ${(error as Error).message}\n`);
    return 0;
  }
  const line = text.split('\n').find((one) => one.startsWith(name));
  if (line === undefined) {
    await io.stdout(`could not find: ${name}\n`);
    return 0;
  }
  return Number(line.slice(name.length).trim());
}
