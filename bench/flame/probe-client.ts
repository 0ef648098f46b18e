/** Tells the probe in a server what to do. */

import type { ChildProcess } from 'node:child_process';
import type { ProbeAnswer, ProbeOrder } from './types.js';

export class Probe {
  readonly #server: ChildProcess;

  /** `server` was started with the probe. */
  constructor(server: ChildProcess) {
    this.#server = server;
  }

  /** Resolves when it is done; rejects if it can't be, or the server ends meanwhile. */
  obey(order: ProbeOrder): Promise<void> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('the server ended while it was profiled'));
      server.once('exit', ended);
      server.once('message', ({ error }: ProbeAnswer) => {
        server.off('exit', ended);
        if (error === undefined) resolve();
        else reject(new Error(`no profile: ${error}`));
      });
      if (server.connected) server.send(order);
      else ended();
    });
  }
}
