/**
 * The files that Maintenance.Snapshot sends from. Each is as large as the store, so there are few:
 * calls share one as long as it is no older than their start, and it goes with the last of them.
 * One that was left behind by a crash goes at the next start.
 */

import {
  assert,
  type Clock,
  type Disk,
  type DiskFile,
  EtcdError,
  type Logger,
  type LogIndex,
  snapshotIdleMs,
  snapshotImagesMax,
} from '../../common/index.js';
import type { MvccStore } from '../../storage/index.js';
import { imageFileName } from '../bootstrap/index.js';
import { writeSnapshotImage } from './image.js';

export interface SnapshotImagesOptions {
  readonly store: Pick<MvccStore, 'applied' | 'snapshotView'>;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where the files are. */
  readonly memberDir: string;
}

/** A complete image, for reading; give it back with {@link SnapshotImages.release}. */
export interface OpenImage {
  readonly file: DiskFile;
  readonly bytes: number;
}

class Image {
  readonly path: string;
  /** Calls that read it or wait for it. */
  holders = 1;
  /** The entry up to which it goes; undefined until its view is taken. */
  index: LogIndex | undefined;
  open: OpenImage | undefined;
  /** Resolves with the entry up to which it goes. */
  viewed: Promise<LogIndex> = Promise.resolve(0);
  /** Resolves when it can be read. */
  written: Promise<OpenImage> = new Promise(() => {});

  constructor(path: string) {
    this.path = path;
  }
}

/** All images of a member. */
export class SnapshotImages {
  readonly #o: SnapshotImagesOptions;
  /** Those that take room: held, or on their way out. */
  readonly #images = new Set<Image>();
  readonly #byOpen = new Map<OpenImage, Image>();
  /** Calls that wait for room. */
  #waiting: Array<() => void> = [];
  #next = 1;

  constructor(options: SnapshotImagesOptions) {
    this.#o = options;
  }

  /**
   * An image of everything that is applied now, or of something newer. Undefined if `isWanted` said
   * no meanwhile; it is asked when something happens, and `onWake` is given what asks it. Rejects
   * with TOO_MANY_REQUESTS if no room was found in time, and with what went wrong.
   */
  async acquire(
    isWanted: () => boolean,
    onWake: (wake: () => void) => void,
  ): Promise<OpenImage | undefined> {
    const needed = this.#o.store.applied.index;
    const deadlineMs = this.#o.clock.nowMs() + snapshotIdleMs;
    for (;;) {
      const image = this.#find(needed) ?? this.#create();
      if (image === undefined) {
        if (this.#o.clock.nowMs() >= deadlineMs) throw new EtcdError('TOO_MANY_REQUESTS');
        await this.#room(deadlineMs, onWake);
        if (!isWanted()) return undefined;
        continue;
      }
      const taken = await this.#whenWritten(image, needed, isWanted, onWake);
      if (taken === 'too old') continue;
      return taken;
    }
  }

  /** Gives a hold on `image` back unless it resolves with it. */
  async #whenWritten(
    image: Image,
    needed: LogIndex,
    isWanted: () => boolean,
    onWake: (wake: () => void) => void,
  ): Promise<OpenImage | 'too old' | undefined> {
    let isHeld = true;
    const giveBack = (): void => {
      if (isHeld) this.#drop(image);
      isHeld = false;
    };
    // At once, so that what nobody waits for is not written to its end.
    onWake(() => {
      if (!isWanted()) giveBack();
    });
    try {
      const isNew = (await image.viewed) >= needed;
      const open = isNew ? await image.written : undefined;
      if (!isHeld || !isWanted()) return undefined;
      if (open === undefined) return 'too old';
      isHeld = false;
      return open;
    } catch (error) {
      if (!isHeld) return undefined;
      throw error;
    } finally {
      giveBack();
    }
  }

  /** Ends the use of an image that `acquire` gave. */
  release(open: OpenImage): void {
    const image = this.#byOpen.get(open);
    assert(image !== undefined, 'an image is released as often as it was acquired');
    this.#drop(image);
  }

  /** One whose view is not taken yet may turn out to be new enough. */
  #find(needed: LogIndex): Image | undefined {
    for (const image of this.#images) {
      if (image.holders === 0) continue;
      if (image.index !== undefined && image.index < needed) continue;
      image.holders += 1;
      return image;
    }
    return undefined;
  }

  #create(): Image | undefined {
    if (this.#images.size >= snapshotImagesMax) return undefined;
    const image = new Image(`${this.#o.memberDir}/${imageFileName(this.#next++)}`);
    this.#images.add(image);
    const view = this.#o.store.snapshotView();
    image.viewed = view.then(({ applied }) => {
      image.index = applied.index;
      return applied.index;
    });
    image.written = image.viewed.then(async () => this.#write(image, await view));
    image.viewed.catch(() => {});
    image.written.catch(() => {});
    return image;
  }

  async #write(
    image: Image,
    view: Awaited<ReturnType<MvccStore['snapshotView']>>,
  ): Promise<OpenImage> {
    const { disk } = this.#o;
    const check = (): void => {
      if (image.holders === 0) throw new EtcdError('REQUEST_CANCELED');
    };
    const bytes = await writeSnapshotImage(disk, image.path, view, check).finally(() =>
      view.close(),
    );
    const open = { file: await disk.open(image.path, 'read'), bytes };
    image.open = open;
    this.#byOpen.set(open, image);
    return open;
  }

  #drop(image: Image): void {
    image.holders -= 1;
    assert(image.holders >= 0, 'an image is given back as often as it was taken');
    if (image.holders === 0) void this.#remove(image);
  }

  /** Takes no room any more when its file is gone. */
  async #remove(image: Image): Promise<void> {
    const { disk, logger } = this.#o;
    await image.written.catch(() => {});
    try {
      if (image.open !== undefined) {
        this.#byOpen.delete(image.open);
        await image.open.file.close();
      }
      await disk.remove(image.path);
    } catch (error) {
      logger.error('could not remove the image of a snapshot', {
        path: image.path,
        error: String(error),
      });
    }
    this.#images.delete(image);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves when there may be room, at the deadline, or when the caller is woken. */
  #room(deadlineMs: number, onWake: (wake: () => void) => void): Promise<void> {
    const { clock } = this.#o;
    return new Promise((resolve) => {
      const timer = clock.after(Math.max(0, deadlineMs - clock.nowMs()), () => wake());
      const wake = (): void => {
        timer.cancel();
        this.#waiting = this.#waiting.filter((other) => other !== wake);
        resolve();
      };
      this.#waiting.push(wake);
      onWake(wake);
    });
  }
}
