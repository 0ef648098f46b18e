/** What `npm run flame` and the probe in the server tell each other, and what a profile is made of. */

export type ProfileKind = 'cpu' | 'heap';

/** To the probe. */
export interface ProbeOrder {
  readonly profile: ProfileKind;
  /** Where to write the profile that has been running; undefined: start it. */
  readonly saveAs?: string;
}

/** From the probe. */
export interface ProbeAnswer {
  /** The order could not be followed. */
  readonly error?: string;
}

/** A function as profiles name it: the form of V8's inspector, lines and columns from 0. */
export interface CallFrame {
  functionName: string;
  url: string;
  lineNumber: number;
  columnNumber: number;
}

/** One function called in one way; `self` is microseconds of a CPU profile, bytes of a heap's. */
export interface CostNode {
  readonly frame: CallFrame;
  self: number;
  readonly children: readonly CostNode[];
}
