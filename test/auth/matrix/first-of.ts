/** The outcome of a stream is that of its first message. */

import type { MessageReader } from '../../helpers/message-reader.js';
import { type Outcome, outcomeOf } from './outcome.js';

/** Reads one message and ends the call; `judge` says what the message means, `ok` if not given. */
export async function firstOf<T>(
  reader: MessageReader<T>,
  judge: (message: T) => Outcome = () => 'ok',
): Promise<Outcome> {
  let judged: Outcome = 'the stream ended';
  const read = async (): Promise<void> => {
    const message = await reader.nextOrEnd();
    if (message !== undefined) judged = judge(message);
  };
  const outcome = await outcomeOf(read());
  reader.cancel();
  return outcome === 'ok' ? judged : outcome;
}
