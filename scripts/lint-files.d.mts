/** What the tests need to know of lint-files.mjs. */

import type { Tool, ToolState } from '../test/helpers/tools.js';

type Tools = Readonly<Partial<Record<Tool, ToolState>>>;

export interface Check {
  readonly needs: readonly Tool[];
  /** What is wrong; empty if nothing is. */
  run(root: string, tools: Tools): string;
}

export declare const checks: Readonly<Record<string, Check>>;
export declare const chartVariants: Readonly<Record<string, readonly string[]>>;
export declare function chartManifests(
  root: string,
  helm: string,
  values: readonly string[],
): string;
