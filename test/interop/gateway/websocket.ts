/** Conversations over WebSockets with a gateway. */

import WebSocket from 'ws';

/** What is said: messages in order, and how many answers come before the next is sent. */
export interface Conversation {
  readonly path: string;
  readonly says: readonly string[];
  /** Messages to wait for; then the client leaves, unless the server did. */
  readonly hears: number;
  readonly protocols?: readonly string[];
}

/** What was heard, and the subprotocol that was agreed on. */
export interface Heard {
  readonly protocol: string;
  readonly messages: readonly string[];
  readonly isClosed: boolean;
}

const quietMs = 1_500;

/** Has the conversation with the server at `host:port`. */
export function converse(endpoint: string, conversation: Conversation): Promise<Heard> {
  const { path, says, hears, protocols = [] } = conversation;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${endpoint}${path}`, [...protocols]);
    const messages: string[] = [];
    const done = (isClosed: boolean) => {
      clearTimeout(quiet);
      resolve({ protocol: socket.protocol, messages, isClosed });
      socket.terminate();
    };
    const quiet = setTimeout(() => done(false), quietMs);
    let said = 0;
    const say = () => {
      const message = says[said];
      said += 1;
      if (message !== undefined) socket.send(message);
    };
    socket.on('open', say);
    socket.on('message', (message: Buffer) => {
      messages.push(message.toString('utf8'));
      if (messages.length >= hears && said >= says.length) done(false);
      else say();
    });
    socket.on('close', () => done(true));
    socket.on('error', (error) => {
      clearTimeout(quiet);
      reject(error);
    });
  });
}
