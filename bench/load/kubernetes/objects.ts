/** The objects of a Kubernetes cluster, as its API server keeps them, and what is known of each. */

/** Every object is of one of these; watchers and lists ask for all of one. */
export const resources: readonly string[] = [
  'pods',
  'nodes',
  'leases',
  'events',
  'secrets',
  'configmaps',
  'endpointslices',
  'replicasets',
  'deployments',
  'serviceaccounts',
].map((resource) => `/registry/${resource}/`);

/** One object, or the room for one: keys that were deleted are created again. */
export interface KubernetesObject {
  readonly key: string;
  /** Of {@link resources}. */
  readonly resource: number;
  /** 0: it does not exist. */
  modRevision: number;
  /** When those writes began whose events the watcher that is looked at has not seen yet. */
  readonly writesMs: number[];
}

const namespaces = 50;
/** For a hundred objects that exist there is room for so many more. */
const sparePercent = 10;

export class Objects {
  readonly all: readonly KubernetesObject[];
  /** Those that exist, and nobody writes. */
  readonly #live: KubernetesObject[];
  /** Those that do not exist, and nobody writes. */
  readonly #free: KubernetesObject[];
  readonly #byKey = new Map<string, KubernetesObject>();
  readonly #random: (n: number) => number;

  /** `count` of them will exist before the load begins. */
  constructor(count: number, random: (n: number) => number) {
    const room = count + Math.ceil((count * sparePercent) / 100);
    this.#random = random;
    this.all = Array.from({ length: room }, (_none, i) => {
      const resource = i % resources.length;
      const key = `${resources[resource]}ns-${random(namespaces)}/object-${i}`;
      return { key, resource, modRevision: 0, writesMs: [] };
    });
    for (const object of this.all) this.#byKey.set(object.key, object);
    this.#live = this.all.slice(0, count);
    this.#free = this.all.slice(count);
  }

  /** The first ones, which exist from the beginning. */
  get existing(): readonly KubernetesObject[] {
    return this.#live;
  }

  of(key: string): KubernetesObject | undefined {
    return this.#byKey.get(key);
  }

  any(): KubernetesObject {
    return this.all[this.#random(this.all.length)] as KubernetesObject;
  }

  /** Takes one out for a write of its own; undefined: there is none. */
  take(exists: boolean): KubernetesObject | undefined {
    const from = exists ? this.#live : this.#free;
    const i = this.#random(from.length);
    const taken = from[i];
    const last = from.pop();
    if (last !== undefined && last !== taken) from[i] = last;
    return taken;
  }

  /** Its write is over. */
  giveBack(object: KubernetesObject): void {
    (object.modRevision > 0 ? this.#live : this.#free).push(object);
  }
}
