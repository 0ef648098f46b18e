/** What this member answers to others: `PeerHandler.call`. Each question is some feature's. */

import { assert, EtcdError, type MemberId, present } from '../../common/index.js';
import type { Answerer, Feature } from '../feature/index.js';
import type { PeerMethod } from '../peers/index.js';

export class PeerQuestions {
  readonly #answerers = new Map<PeerMethod, Answerer>();

  constructor(features: ReadonlyArray<Pick<Feature, 'questions'>>) {
    for (const [method, answerer] of features.flatMap(({ questions = [] }) => questions)) {
      assert(!this.#answerers.has(method), `one feature answers '${method}'`);
      this.#answerers.set(method, answerer);
    }
  }

  /** See PeerHandler. `from` 0n may only ask who is there. */
  async call(from: MemberId, method: PeerMethod, body: Uint8Array): Promise<Uint8Array> {
    if (method !== 'cluster' && from === 0n) throw new EtcdError('MEMBER_NOT_FOUND');
    const answerer = present(this.#answerers.get(method), `who answers '${method}'`);
    return answerer(body, from);
  }
}
