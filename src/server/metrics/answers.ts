/** What is known of answers under way, and of calls that were held back. */

/** Where it is known; see SendRoom. */
export interface AnswersUnderWay {
  readonly bytes: number;
  readonly waiting: number;
}

const none: AnswersUnderWay = { bytes: 0, waiting: 0 };

export class AnswerMetrics {
  answersWaited = 0;
  answersRefused = 0;
  /** Of memory for answers. */
  bytesMax = 0;
  #now: AnswersUnderWay = none;

  /** Says where to ask. */
  attach(now: AnswersUnderWay, bytesMax: number): void {
    this.#now = now;
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#now.bytes;
  }

  get waiting(): number {
    return this.#now.waiting;
  }
}
