/**
 * Profiles of V8 in the format of pprof, for `go tool pprof` and all that reads its files. The only
 * import of pprof-format.
 */

import type { Profiler } from 'node:inspector';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import {
  Line,
  Location,
  Function as PprofFunction,
  Profile,
  Sample,
  StringTable,
  ValueType,
} from 'pprof-format';
import { turn } from '../../common/index.js';
import { nodeClock } from './clock-node.js';

type Frame = Pick<
  Profiler.ProfileNode['callFrame'],
  'columnNumber' | 'functionName' | 'lineNumber' | 'scriptId' | 'url'
>;

/** A node of V8's heap profile; the declarations of Node have only a part of it. */
interface HeapNode {
  readonly callFrame: Frame;
  readonly selfSize: number;
  readonly id: number;
  readonly children: readonly HeapNode[];
}

/** As V8 answers `HeapProfiler.getSamplingProfile`. */
export interface HeapProfile {
  readonly head: HeapNode;
  readonly samples: ReadonlyArray<{ readonly nodeId: number }>;
}

/** What one measure is called, and its unit. */
type Measure = readonly [type: string, unit: string];

const compressed = promisify(gzip);
/** Nodes that are turned into samples in one go: some milliseconds. */
const nodesPerTurn = 2000;

/** A CPU profile. `intervalMicros`: between two samples; `startMs`: when it began, as Clock.wallMs. */
export async function encodeCpu(
  profile: Profiler.Profile,
  intervalMicros: number,
  startMs: number,
): Promise<Uint8Array> {
  const nanos = new Map<number, number>();
  const counts = new Map<number, number>();
  for (const [i, node] of (profile.samples ?? []).entries()) {
    const delta = Math.max(0, profile.timeDeltas?.[i] ?? 0) * 1000;
    nanos.set(node, (nanos.get(node) ?? 0) + delta);
    counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  const writer = new PprofWriter([
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ]);
  const parents = new Map<number, Profiler.ProfileNode>();
  for (const node of profile.nodes) {
    for (const child of node.children ?? []) parents.set(child, node);
  }
  for (const [i, node] of profile.nodes.entries()) {
    if (i % nodesPerTurn === nodesPerTurn - 1) await turn(nodeClock);
    const count = counts.get(node.id);
    // A process that waits spends no time.
    if (count === undefined || node.callFrame.functionName === '(idle)') continue;
    const stack: Frame[] = [];
    for (let one: typeof node | undefined = node; one; one = parents.get(one.id)) {
      stack.push(one.callFrame);
    }
    writer.sample(stack, [count, nanos.get(node.id) ?? 0]);
  }
  return writer.finish({
    periodType: ['cpu', 'nanoseconds'],
    period: intervalMicros * 1000,
    timeNanos: BigInt(Math.round(startMs)) * 1_000_000n,
    durationNanos: BigInt(Math.max(0, profile.endTime - profile.startTime)) * 1000n,
  });
}

/** A heap profile. `intervalBytes`: bytes allocated between two samples, as an average. */
export async function encodeHeap(
  profile: HeapProfile,
  intervalBytes: number,
  nowMs: number,
): Promise<Uint8Array> {
  const counts = new Map<number, number>();
  for (const { nodeId } of profile.samples) counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
  const writer = new PprofWriter([
    ['inuse_objects', 'count'],
    ['inuse_space', 'bytes'],
  ]);
  interface Visit {
    readonly node: HeapNode;
    readonly above: Visit | undefined;
  }
  const left: Visit[] = [{ node: profile.head, above: undefined }];
  for (let visited = 1; ; visited += 1) {
    const visit = left.pop();
    if (visit === undefined) break;
    if (visited % nodesPerTurn === 0) await turn(nodeClock);
    const { node } = visit;
    for (const child of node.children) left.push({ node: child, above: visit });
    if (node.selfSize === 0) continue;
    const stack: Frame[] = [];
    for (let one: Visit | undefined = visit; one; one = one.above) stack.push(one.node.callFrame);
    writer.sample(stack, [counts.get(node.id) ?? 1, node.selfSize]);
  }
  return writer.finish({
    periodType: ['space', 'bytes'],
    period: intervalBytes,
    timeNanos: BigInt(Math.round(nowMs)) * 1_000_000n,
    durationNanos: 0n,
  });
}

interface Ending {
  readonly periodType: Measure;
  readonly period: number;
  readonly timeNanos: bigint;
  readonly durationNanos: bigint;
}

/** Gathers samples; each function and each place in it is there once. */
class PprofWriter {
  readonly #strings = new StringTable();
  readonly #functions: PprofFunction[] = [];
  readonly #locations: Location[] = [];
  readonly #samples: Sample[] = [];
  readonly #functionIds = new Map<string, number>();
  readonly #locationIds = new Map<string, number>();
  readonly #sampleType: ValueType[];

  constructor(measures: readonly Measure[]) {
    this.#sampleType = measures.map((measure) => this.#valueType(measure));
  }

  /** `stack`: the innermost frame first. The root, which is none, is left out. */
  sample(stack: readonly Frame[], value: number[]): void {
    const frames = stack.filter(({ functionName }) => functionName !== '(root)');
    const locationId = frames.map((frame) => this.#location(frame));
    this.#samples.push(new Sample({ locationId, value }));
  }

  async finish({ periodType, ...rest }: Ending): Promise<Uint8Array> {
    const profile = new Profile({
      ...rest,
      sampleType: this.#sampleType,
      sample: this.#samples,
      location: this.#locations,
      function: this.#functions,
      stringTable: this.#strings,
      periodType: this.#valueType(periodType),
    });
    return compressed(await profile.encodeAsync());
  }

  #valueType([type, unit]: Measure): ValueType {
    const strings = this.#strings;
    return new ValueType({ type: strings.dedup(type), unit: strings.dedup(unit) });
  }

  #location(frame: Frame): number {
    const { columnNumber, lineNumber, scriptId } = frame;
    const key = `${scriptId} ${lineNumber} ${columnNumber} ${frame.functionName}`;
    const known = this.#locationIds.get(key);
    if (known !== undefined) return known;
    const functionId = this.#function(frame);
    const id = this.#locations.length + 1;
    // V8 counts lines from 0.
    const line = new Line({ functionId, line: lineNumber + 1 });
    this.#locations.push(new Location({ id, line: [line] }));
    this.#locationIds.set(key, id);
    return id;
  }

  #function({ functionName, lineNumber, scriptId, url }: Frame): number {
    const name = functionName === '' ? '(anonymous)' : functionName;
    const key = `${scriptId} ${lineNumber} ${name}`;
    const known = this.#functionIds.get(key);
    if (known !== undefined) return known;
    const strings = this.#strings;
    const id = this.#functions.length + 1;
    this.#functions.push(
      new PprofFunction({
        id,
        name: strings.dedup(name),
        systemName: strings.dedup(name),
        filename: strings.dedup(url.replace(/^file:\/\//, '')),
        startLine: lineNumber + 1,
      }),
    );
    this.#functionIds.set(key, id);
    return id;
  }
}
