/**
 * The open streams of a connection by identifier. Identifiers go up by two and most streams are
 * short, so each stands in a ring at its identifier's place; one whose place is taken, by a watch
 * that lasts, say, stands in a map. A map alone is laid out anew after every few insertions and
 * deletions: with hashing that was 140 bytes and 2 % of the main thread's time of a put.
 */

import { assert } from '../common/index.js';
import type { Stream } from './stream.js';

const placesMin = 16;

/** What a Map from identifier to stream would be. */
export class StreamTable {
  size = 0;
  /** Length is a power of two. */
  #places: Array<Stream | undefined> = new Array(placesMin).fill(undefined);
  readonly #displaced = new Map<number, Stream>();

  get(id: number): Stream | undefined {
    const stream = this.#places[(id >>> 1) & (this.#places.length - 1)];
    if (stream !== undefined && stream.id === id) return stream;
    return this.#displaced.size === 0 ? undefined : this.#displaced.get(id);
  }

  /** Adds a stream whose identifier is not in the table; returns it. */
  add(stream: Stream): Stream {
    this.size++;
    this.#place(stream);
    if (this.#displaced.size > this.#places.length / 4) this.#grow();
    return stream;
  }

  delete(id: number): void {
    const place = (id >>> 1) & (this.#places.length - 1);
    if (this.#places[place]?.id === id) this.#places[place] = undefined;
    else if (!this.#displaced.delete(id)) return;
    this.size--;
    assert(this.size >= 0, 'no more streams end than there were');
  }

  /** All streams, in no order; the table may change meanwhile. */
  values(): Stream[] {
    const streams = [...this.#displaced.values()];
    for (const stream of this.#places) if (stream !== undefined) streams.push(stream);
    assert(streams.length === this.size, 'the table has as many streams as it counts');
    return streams;
  }

  #place(stream: Stream): void {
    const place = (stream.id >>> 1) & (this.#places.length - 1);
    const taken = this.#places[place];
    if (taken === undefined) {
      this.#places[place] = stream;
      return;
    }
    assert(taken.id !== stream.id, 'an identifier is in the table once');
    this.#displaced.set(stream.id, stream);
  }

  #grow(): void {
    const streams = this.values();
    this.#places = new Array(this.#places.length * 2).fill(undefined);
    this.#displaced.clear();
    for (const stream of streams) this.#place(stream);
  }
}
