/** Where the password of a user comes from, if it does not stand on the line. */

import type { CtlIo } from '../command/index.js';
import { badArguments } from './words.js';

/** Asked for twice at the terminal, or the first word of stdin. */
export async function passwordOf(name: string, io: CtlIo, interactive: boolean): Promise<string> {
  if (!interactive) return firstWord(io.stdin);
  const password = await io.askSecret(`Password of ${name}: `);
  if (password === '') throw badArguments('empty password');
  const again = await io.askSecret(`Type password of ${name} again for confirmation: `);
  if (password !== again) throw badArguments('given passwords are different');
  return password;
}

/** As Go's Scanf reads `%s`: of the first line, without the blanks around it; '' if there is none. */
async function firstWord(stdin: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const chunk of stdin) {
    text += Buffer.from(chunk).toString('utf8');
    if (text.includes('\n')) break;
  }
  const [line = ''] = text.split('\n');
  return /^[^\S\n]*(\S*)/.exec(line)?.[1] ?? '';
}
