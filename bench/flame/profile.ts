/** Reads the profiles of V8: .cpuprofile and .heapprofile, as DevTools and speedscope do. */

import { readFileSync, writeFileSync } from 'node:fs';
import type { Sources } from './sources.js';
import type { CallFrame, CostNode } from './types.js';

interface CpuNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
  /** Samples by line of the bundle. */
  positionTicks?: unknown;
}

interface CpuProfile {
  readonly nodes: readonly CpuNode[];
  readonly startTime: number;
  readonly endTime: number;
  readonly samples: readonly number[];
  /** Microseconds from the sample before. */
  readonly timeDeltas: readonly number[];
}

interface HeapNode {
  readonly callFrame: CallFrame;
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

interface HeapProfile {
  readonly head: HeapNode;
}

/** Frames of V8 that are no work. */
const idle = '(idle)';

/** Makes the file's places those of the TypeScript and returns its costs, from the root. */
export function readProfile(path: string, sources: Sources): CostNode {
  const profile: CpuProfile | HeapProfile = JSON.parse(readFileSync(path, 'utf8'));
  const tree = 'head' in profile ? heapCosts(profile.head, sources) : cpuCosts(profile, sources);
  writeFileSync(path, JSON.stringify(profile));
  return tree;
}

function cpuCosts(profile: CpuProfile, sources: Sources): CostNode {
  const byId = new Map<number, { node: CpuNode; cost: CostNode; children: CostNode[] }>();
  for (const node of profile.nodes) {
    sources.resolve(node.callFrame);
    delete node.positionTicks;
    const children: CostNode[] = [];
    byId.set(node.id, { node, cost: { frame: node.callFrame, self: 0, children }, children });
  }
  for (const { node, children } of byId.values()) {
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child !== undefined) children.push(child.cost);
    }
  }
  const { samples, timeDeltas } = profile;
  // A sample stands for the time until the next one.
  for (let i = 0; i + 1 < samples.length; i += 1) {
    const cost = byId.get(samples[i] ?? 0)?.cost;
    if (cost !== undefined) cost.self += Math.max(0, timeDeltas[i + 1] ?? 0);
  }
  const root = byId.get(profile.nodes[0]?.id ?? 0)?.cost;
  if (root === undefined) throw new Error('the profile is empty');
  return root;
}

function heapCosts(node: HeapNode, sources: Sources): CostNode {
  sources.resolve(node.callFrame);
  const children = node.children.map((child) => heapCosts(child, sources));
  return { frame: node.callFrame, self: node.selfSize, children };
}

/** The tree without what is no work. */
export function withoutIdle(root: CostNode): CostNode {
  return { ...root, children: root.children.filter((each) => each.frame.functionName !== idle) };
}

/** All that a node and what it calls cost. */
export function totalOf(node: CostNode): number {
  let sum = node.self;
  for (const child of node.children) sum += totalOf(child);
  return sum;
}

export interface FunctionCost {
  readonly name: string;
  readonly place: string;
  self: number;
  /** With all that it calls; a function that calls itself counts once. */
  total: number;
}

/** Costs by function, wherever it is called from, the highest `self` first. */
export function functionsOf(root: CostNode, sources: Sources): FunctionCost[] {
  const byPlace = new Map<string, FunctionCost>();
  const onStack = new Set<FunctionCost>();
  const visit = (node: CostNode): number => {
    const place = sources.placeOf(node.frame);
    const name = node.frame.functionName || '(anonymous)';
    const key = `${name} ${place}`;
    const found = byPlace.get(key) ?? { name, place, self: 0, total: 0 };
    byPlace.set(key, found);
    const isOutermost = !onStack.has(found);
    onStack.add(found);
    let sum = node.self;
    for (const child of node.children) sum += visit(child);
    found.self += node.self;
    if (isOutermost) {
      found.total += sum;
      onStack.delete(found);
    }
    return sum;
  };
  for (const child of root.children) visit(child);
  return [...byPlace.values()].sort((a, b) => b.self - a.self);
}
