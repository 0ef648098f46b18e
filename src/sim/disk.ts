/**
 * The simulated Disk: in memory, seeded, and hostile. What was not synced may be lost, kept, torn
 * or reordered by a crash; operations can be made to fail by kind and number; every operation is
 * counted, so that a test can stop a process at each of them in turn. Completions go through the
 * SimClock. After a crash, whatever the old process still had under way never completes, and its
 * open files are dead: they neither answer nor change anything.
 */

import { assert, type Clock, type Disk, type DiskFile, type OpenMode } from '../common/index.js';
import {
  type CrashOptions,
  type FileChange,
  ImageDir,
  ImageFile,
  type ImageNode,
  sectorCut,
} from './disk-image.js';
import type { SimRandom } from './random.js';
import type { SimThreads } from './threads.js';

export type { CrashOptions } from './disk-image.js';

/** The kinds of operation that are counted and can be made to fail. */
export type DiskOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'writeDurable'
  | 'sync'
  | 'truncate'
  | 'size'
  | 'close'
  | 'list'
  | 'mkdir'
  | 'rename'
  | 'remove'
  | 'syncDir';

/** One fault to come. */
export interface DiskFault {
  readonly kinds: readonly DiskOperation[];
  /** Only operations on paths that contain this. */
  readonly path?: string;
  /** 1: the next operation that matches. */
  readonly nth: number;
  readonly code: 'EIO' | 'ENOSPC';
  /** Every later match fails as well. */
  readonly sticky?: boolean;
}

/** Options of {@link SimDisk}. */
export interface SimDiskOptions {
  /** That of the machine: while it stands still, nothing completes. */
  readonly clock: Clock;
  readonly random: SimRandom;
  /** Bounds of the time that one operation takes; syncs take up to ten times as long. */
  readonly latencyMs?: { readonly min: number; readonly max: number };
  /** The threads that work on it; without them operations do not wait for each other. */
  readonly threads?: SimThreads;
  /** Bytes of all files above which writes fail with ENOSPC. */
  readonly capacityBytes?: number;
}

interface ArmedFault {
  readonly fault: DiskFault;
  left: number;
}

/**
 * Never settles: for an operation of a process that is gone. A promise for each, since a common one
 * would hold on to everything of all processes that ever waited for it.
 */
const never = (): Promise<never> => new Promise<never>(() => {});

/** A simulated disk; see the head of this file. */
export class SimDisk implements Disk {
  readonly #clock: Clock;
  readonly #random: SimRandom;
  readonly #latencyMs: { readonly min: number; readonly max: number };
  readonly #threads: SimThreads | undefined;
  #capacityBytes: number;
  #root = new ImageDir(new Map());
  #faults: ArmedFault[] = [];
  #operations = 0;
  #haltAt = Number.POSITIVE_INFINITY;
  #halted = false;
  /** Which process this is: goes up with each crash. */
  #generation = 0;
  #slowdown = 1;

  constructor(options: SimDiskOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#latencyMs = options.latencyMs ?? { min: 0.02, max: 0.2 };
    this.#threads = options.threads;
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  // ---- the port

  /**
   * The disk as one process sees it: dead from the next {@link crash} or {@link kill} on, as its
   * open files are. A process that was just told of the end of an operation would go on otherwise.
   */
  process(): Disk {
    return this.#portOf(this.#generation);
  }

  // The disk itself is the port of whichever process is there at the time of the call.

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return this.process().open(path, mode);
  }

  list(dir: string): Promise<string[]> {
    return this.process().list(dir);
  }

  mkdir(dir: string): Promise<void> {
    return this.process().mkdir(dir);
  }

  mode(dir: string): Promise<number> {
    return this.process().mode(dir);
  }

  rename(from: string, to: string): Promise<void> {
    return this.process().rename(from, to);
  }

  remove(path: string): Promise<void> {
    return this.process().remove(path);
  }

  syncDir(dir: string): Promise<void> {
    return this.process().syncDir(dir);
  }

  // ---- what tests do to it

  /** Operations begun so far, including those that failed. */
  get operations(): number {
    return this.#operations;
  }

  /** True once the operation given to {@link haltAt} was reached. */
  get halted(): boolean {
    return this.#halted;
  }

  /** The process dies at operation number `operation` (as counted by `operations`): that one may
   * still take effect but never completes, and none after it does anything. */
  haltAt(operation: number): void {
    this.#haltAt = operation;
  }

  /** Arms a fault; several may be armed at once. */
  inject(fault: DiskFault): void {
    assert(fault.nth >= 1, 'a fault is for the first or a later operation');
    this.#faults.push({ fault, left: fault.nth });
  }

  /** Disarms all faults. */
  clearFaults(): void {
    this.#faults = [];
  }

  /** Operations begun from now on take this many times as long. */
  slowDown(factor: number): void {
    this.#slowdown = factor;
  }

  /** Writes that make all files together larger than this fail with ENOSPC. */
  setCapacity(bytes: number): void {
    this.#capacityBytes = bytes;
  }

  /** Power loss: the process is gone, and what was not synced is subject to `options`. */
  crash(options: CrashOptions): void {
    this.#root = this.#root.afterCrash(options, this.#random);
    this.#generation += 1;
    this.#halted = false;
    this.#haltAt = Number.POSITIVE_INFINITY;
    this.#faults = [];
  }

  /** The process is killed, the machine stays up: nothing that was written is lost. */
  kill(): void {
    this.#generation += 1;
    this.#halted = false;
    this.#haltAt = Number.POSITIVE_INFINITY;
  }

  /**
   * What a crash now would leave, as a disk of its own; this one goes on undisturbed. With a
   * `clock` of its own, looking at the clone takes no time here.
   */
  crashClone(options: CrashOptions, clock: Clock = this.#clock): SimDisk {
    const random = this.#random.fork();
    const clone = new SimDisk({ clock, random, latencyMs: this.#latencyMs });
    clone.#root = this.#root.afterCrash(options, random);
    return clone;
  }

  /** Flips bit `bit` (0 is the lowest) of the byte at `offset`, at rest. */
  flipBit(path: string, offset: number, bit: number): void {
    this.#file(path, 'flip').damage(offset, (byte) => byte ^ (1 << bit));
  }

  /** What programs read from `path`, as a copy. */
  peek(path: string): Buffer {
    return Buffer.from(this.#file(path, 'peek').seen);
  }

  /** What is certain to survive of `path`, as a copy. */
  peekDurable(path: string): Buffer {
    return Buffer.from(this.#file(path, 'peek').durable);
  }

  /** Puts a file there, durably, with its directories; replaces what was there. */
  plant(path: string, content: Uint8Array): void {
    const parts = split(path);
    for (let depth = 0; depth < parts.length; depth++) {
      const dir = this.#makeDir(parts.slice(0, depth).join('/'));
      const name = parts[depth] ?? '';
      if (depth === parts.length - 1) dir.change([[name, new ImageFile(content)]]);
      else this.#makeDir(parts.slice(0, depth + 1).join('/'));
      dir.settle(dir.unsynced());
    }
  }

  /** Removes a file durably, behind the program's back. */
  unplant(path: string): void {
    const [dir, name] = this.#parent(path, 'remove');
    dir.change([[name, undefined]]);
    dir.settle(dir.unsynced());
  }

  /** All files under `dir` with their sizes, sorted by path. */
  tree(dir = '/'): Array<readonly [path: string, size: number]> {
    const result: Array<readonly [string, number]> = [];
    const visit = (node: ImageNode, path: string): void => {
      if (node.type === 'file') result.push([path, node.size]);
      else for (const [name, child] of node.entries) visit(child, `${path}/${name}`);
    };
    const parts = split(dir);
    const start = this.#find(dir);
    if (start !== undefined) visit(start, parts.length === 0 ? '' : `/${parts.join('/')}`);
    return result.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }

  // ---- inside

  #portOf(generation: number): Disk {
    return {
      open: (path, mode) =>
        this.#run('open', path, generation, () => {
          const file = mode === 'create' ? this.#create(path) : this.#file(path, 'open');
          return () => new SimDiskFile(this.#openFile(file, path, mode));
        }),
      list: (dir) =>
        this.#run('list', dir, generation, () => () => {
          const node = this.#find(dir);
          if (node === undefined) return [];
          if (node.type !== 'directory') throw diskError('ENOTDIR', 'list', dir);
          return [...node.entries.keys()].sort();
        }),
      mkdir: (dir) =>
        this.#run('mkdir', dir, generation, () => {
          this.#makeDir(dir);
          return done;
        }),
      // Nobody else is here.
      mode: () => Promise.resolve(0o700),
      rename: (from, to) =>
        this.#run('rename', from, generation, () => {
          this.#rename(from, to);
          return done;
        }),
      remove: (path) =>
        this.#run('remove', path, generation, () => {
          const parts = split(path);
          const dir = this.#find(parts.slice(0, -1).join('/'));
          const name = parts.at(-1) ?? '';
          if (dir?.type === 'directory' && dir.entries.has(name)) dir.change([[name, undefined]]);
          return done;
        }),
      syncDir: (dir) =>
        this.#run('syncDir', dir, generation, () => {
          const node = this.#find(dir);
          if (node === undefined) throw diskError('ENOENT', 'syncDir', dir);
          if (node.type !== 'directory') throw diskError('ENOTDIR', 'syncDir', dir);
          const changes = node.unsynced();
          return () => node.settle(changes);
        }),
    };
  }

  #rename(from: string, to: string): void {
    const [fromDir, fromName] = this.#parent(from, 'rename');
    const [toDir, toName] = this.#parent(to, 'rename');
    const node = fromDir.entries.get(fromName);
    if (node === undefined) throw diskError('ENOENT', 'rename', from);
    if (fromDir === toDir) {
      if (fromName !== toName) {
        fromDir.change([
          [fromName, undefined],
          [toName, node],
        ]);
      }
      return;
    }
    toDir.change([[toName, node]]);
    fromDir.change([[fromName, undefined]]);
  }

  /**
   * `begin` takes effect at once and returns what completion does; both may throw. The effect of a
   * write is visible at once, that of a sync comes at the end.
   */
  #run<T>(
    kind: DiskOperation,
    path: string,
    generation: number,
    begin: () => () => T,
    fail?: () => void,
  ): Promise<T> {
    if (generation !== this.#generation || this.#halted) return never();
    const isLast = this.#operations++ >= this.#haltAt;
    if (isLast) {
      this.#halted = true;
      if (this.#random.chance(0.5)) attempt(begin);
      return never();
    }
    const fault = this.#takeFault(kind, path);
    const started = attempt(() => {
      if (fault === undefined) return begin();
      fail?.();
      throw diskError(fault.code, kind, path);
    });
    return new Promise((resolve, reject) => {
      this.#clock.after(this.#latency(kind), () => {
        if (generation !== this.#generation || this.#halted) return;
        const result = started.ok ? attempt(started.value) : started;
        if (result.ok) resolve(result.value);
        else reject(result.error);
      });
    });
  }

  #latency(kind: DiskOperation): number {
    const { min, max } = this.#latencyMs;
    const one = (min + this.#random.float() * (max - min)) * this.#slowdown;
    const isSync = kind === 'sync' || kind === 'writeDurable' || kind === 'syncDir';
    const ownMs = isSync ? one * (1 + 9 * this.#random.float()) : one;
    const threads = this.#threads;
    return threads === undefined ? ownMs : threads.takesMs(this.#clock.nowMs(), ownMs);
  }

  #takeFault(kind: DiskOperation, path: string): DiskFault | undefined {
    let result: DiskFault | undefined;
    for (const armed of this.#faults) {
      const { fault } = armed;
      if (!fault.kinds.includes(kind)) continue;
      if (fault.path !== undefined && !path.includes(fault.path)) continue;
      armed.left -= 1;
      if (armed.left === 0 || (armed.left < 0 && fault.sticky === true)) result ??= fault;
    }
    return result;
  }

  #openFile(file: ImageFile, path: string, mode: OpenMode): OpenFile {
    const generation = this.#generation;
    return {
      file,
      isWritable: mode !== 'read',
      path,
      random: this.#random,
      run: (kind, begin, fail) => this.#run(kind, path, generation, begin, fail),
      room: (growth) => Math.max(0, Math.min(growth, this.#capacityBytes - this.#usedBytes())),
    };
  }

  #usedBytes(): number {
    if (this.#capacityBytes === Number.POSITIVE_INFINITY) return 0;
    return this.tree().reduce((sum, [, size]) => sum + size, 0);
  }

  #create(path: string): ImageFile {
    const [dir, name] = this.#parent(path, 'open');
    if (dir.entries.has(name)) throw diskError('EEXIST', 'open', path);
    const file = new ImageFile(Buffer.alloc(0));
    dir.change([[name, file]]);
    return file;
  }

  #makeDir(path: string): ImageDir {
    let dir = this.#root;
    for (const part of split(path)) {
      let next = dir.entries.get(part);
      if (next === undefined) {
        next = new ImageDir(new Map());
        dir.change([[part, next]]);
      }
      if (next.type !== 'directory') throw diskError('ENOTDIR', 'mkdir', path);
      dir = next;
    }
    return dir;
  }

  #find(path: string): ImageNode | undefined {
    let node: ImageNode = this.#root;
    for (const part of split(path)) {
      if (node.type !== 'directory') return undefined;
      const next = node.entries.get(part);
      if (next === undefined) return undefined;
      node = next;
    }
    return node;
  }

  #file(path: string, operation: string): ImageFile {
    const node = this.#find(path);
    if (node === undefined) throw diskError('ENOENT', operation, path);
    if (node.type !== 'file') throw diskError('EISDIR', operation, path);
    return node;
  }

  #parent(path: string, operation: string): [ImageDir, string] {
    const parts = split(path);
    const dir = this.#find(parts.slice(0, -1).join('/'));
    const name = parts.at(-1);
    if (name === undefined || dir === undefined) throw diskError('ENOENT', operation, path);
    if (dir.type !== 'directory') throw diskError('ENOTDIR', operation, path);
    return [dir, name];
  }
}

/** What an open file needs of its disk. */
interface OpenFile {
  readonly file: ImageFile;
  readonly isWritable: boolean;
  readonly path: string;
  readonly random: SimRandom;
  run<T>(kind: DiskOperation, begin: () => () => T, fail?: () => void): Promise<T>;
  /** How many of so many new bytes the disk has room for. */
  room(growth: number): number;
}

class SimDiskFile implements DiskFile {
  readonly #open: OpenFile;
  #closed = false;

  constructor(open: OpenFile) {
    this.#open = open;
  }

  read(offset: number, length: number): Promise<Buffer> {
    return this.#run('read', () => () => {
      return Buffer.from(this.#open.file.seen.subarray(offset, offset + length));
    });
  }

  write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#run(
      'write',
      () => {
        this.#put(offset, chunks, 'write');
        return done;
      },
      () => this.#putSome(offset, chunks),
    );
  }

  writeDurable(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#run(
      'writeDurable',
      () => {
        const changes = this.#put(offset, chunks, 'writeDurable');
        return () => this.#open.file.settle(changes);
      },
      () => this.#open.file.settleFailed(this.#putSome(offset, chunks), this.#open.random),
    );
  }

  sync(): Promise<void> {
    const { file, random } = this.#open;
    return this.#run(
      'sync',
      () => {
        const changes = file.unsynced();
        return () => file.settle(changes);
      },
      () => file.settleFailed(file.unsynced(), random),
    );
  }

  truncate(size: number): Promise<void> {
    return this.#run('truncate', () => {
      this.#assertWritable();
      this.#open.file.truncate(size);
      return done;
    });
  }

  size(): Promise<number> {
    return this.#run('size', () => () => this.#open.file.size);
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const closing = this.#run('close', () => done);
    this.#closed = true;
    return closing;
  }

  #run<T>(kind: DiskOperation, begin: () => () => T, fail?: () => void): Promise<T> {
    assert(!this.#closed, 'a disk file is used after close');
    return this.#open.run(kind, begin, fail);
  }

  #put(offset: number, chunks: readonly Uint8Array[], operation: string): FileChange[] {
    this.#assertWritable();
    const { file } = this.#open;
    const bytes = Buffer.concat(chunks);
    const growth = Math.max(0, offset + bytes.length - file.size);
    const missing = growth - this.#open.room(growth);
    if (missing === 0) return bytes.length === 0 ? [] : [file.write(offset, bytes)];
    // As much as there is room for is written, as the system does.
    const fitting = sectorCut(offset, offset + Math.max(0, bytes.length - missing)) - offset;
    const fits = bytes.subarray(0, fitting);
    if (fits.length > 0) file.write(offset, fits);
    throw diskError('ENOSPC', operation, this.#open.path);
  }

  /** A write that fails may have written a part. */
  #putSome(offset: number, chunks: readonly Uint8Array[]): FileChange[] {
    const bytes = Buffer.concat(chunks);
    const length = this.#open.random.below(bytes.length + 1);
    const isWhole = length === bytes.length;
    const part = isWhole ? bytes : bytes.subarray(0, sectorCut(offset, offset + length) - offset);
    return part.length === 0 ? [] : [this.#open.file.write(offset, part)];
  }

  #assertWritable(): void {
    assert(this.#open.isWritable, 'a disk file opened for reading is written');
  }
}

type Attempt<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown };

function attempt<T>(action: () => T): Attempt<T> {
  try {
    return { ok: true, value: action() };
  } catch (error) {
    return { ok: false, error };
  }
}

function done(): void {}

function split(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/** An error that looks like node:fs's. */
function diskError(code: string, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${operation} '${path}'`), { code, path });
}
