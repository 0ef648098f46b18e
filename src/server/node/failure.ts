/**
 * What can't be gone on from: the disk failed, an invariant broke. Nothing may be acknowledged
 * after that, not even by the half that still works.
 */

import { explainFatal } from '../bootstrap/index.js';
import type { NodeLoop } from './loop.js';

export class Failure {
  readonly #report: (error: unknown) => void;
  readonly #dataDir: string;
  #loop: Pick<NodeLoop, 'stop'> | undefined;

  constructor(report: (error: unknown) => void, dataDir: string) {
    this.#report = report;
    this.#dataDir = dataDir;
  }

  /** From here on a failure stops the loop first. */
  stops(loop: Pick<NodeLoop, 'stop'>): void {
    this.#loop = loop;
  }

  /** Bound, to be handed on. */
  readonly tell = (error: unknown): void => {
    this.#loop?.stop();
    this.#report(explainFatal(error, this.#dataDir));
  };
}
