/** What was measured: every round of every workload, by server. */

import { type Figures, medians } from './report.js';
import type { ServerKind } from './servers.js';

/** What was measured; `endpoints`: whatever listens there. */
export type Subject = ServerKind | 'endpoints';

/** One workload or scenario, perhaps with one value of a sweep. */
export interface Entry {
  /** `put`, or `put, clients 16`. */
  readonly name: string;
  /** For people: with what one operation is. */
  readonly title: string;
  /** By name of the figure, in words: `<= 0.5x`. */
  readonly goals: Readonly<Record<string, string>>;
  /** It is a load: it has a rate; else a scenario, whose figures are its own. */
  readonly isLoad: boolean;
}

/** One side's medians. */
export interface Measured {
  readonly subject: Subject;
  readonly figures: Figures;
}

export class Results {
  readonly #rounds = new Map<string, Map<Subject, Figures[]>>();
  /** What whoever reads the figures must know. */
  readonly notes: string[] = [];
  readonly #entries = new Map<string, Entry>();

  add(entry: Entry, subject: Subject, figures: Figures): void {
    const bySubject = this.#rounds.get(entry.name) ?? new Map<Subject, Figures[]>();
    this.#rounds.set(entry.name, bySubject);
    this.#entries.set(entry.name, entry);
    bySubject.set(subject, [...(bySubject.get(subject) ?? []), figures]);
  }

  /** In the order in which they were measured first. */
  get entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  measured(name: string): readonly Measured[] {
    const bySubject = this.#rounds.get(name) ?? [];
    return [...bySubject].map(([subject, list]) => ({ subject, figures: medians(list) }));
  }

  /** For programs. */
  toJSON(): unknown {
    return [...this.#rounds].map(([workload, bySubject]) => ({
      workload,
      servers: Object.fromEntries(
        [...bySubject].map(([kind, list]) => [kind, { median: medians(list), rounds: list }]),
      ),
    }));
  }
}
