/** What the probe in a member tells. */

/** A turn of the event loop, or little more than one. */
export interface Piece {
  /** Of the main thread, with its part of collections. */
  readonly cpuMs: number;
  /** Collections in it. */
  readonly collectedMs: number;
}

export interface PieceReport {
  /** The longest first. */
  readonly longest: readonly Piece[];
}
