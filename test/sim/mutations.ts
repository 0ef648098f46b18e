import type { SimOptions } from './options.js';

export async function runMutations(_options: SimOptions, _script: string): Promise<number> {
  return 1;
}
