/** What many calls, watches, leases and the steps of a start have to hear from one signal. */

/** Signal -> who wants to know, behind one listener: Node warns of signals with more than ten. */
const hubs = new WeakMap<AbortSignal, Set<() => void>>();

const nothing = (): void => undefined;

/** Calls `told` when the signal aborts; at once if it has. Returns what takes it back. */
export function onAbort(signal: AbortSignal | undefined, told: () => void): () => void {
  if (signal === undefined) return nothing;
  if (signal.aborted) {
    told();
    return nothing;
  }
  const hub = hubs.get(signal) ?? newHub(signal);
  // An entry of its own, in case the same function is given twice.
  const entry = (): void => told();
  hub.add(entry);
  return () => {
    hub.delete(entry);
  };
}

function newHub(signal: AbortSignal): Set<() => void> {
  const hub = new Set<() => void>();
  hubs.set(signal, hub);
  const onSignal = (): void => {
    hubs.delete(signal);
    for (const told of [...hub]) {
      // One that was called may have taken others back.
      if (hub.delete(told)) told();
    }
  };
  signal.addEventListener('abort', onSignal, { once: true });
  return hub;
}

/** The promise's result, unless the signal aborts first; then its reason. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const takeBack = onAbort(signal, () => reject(signal.reason));
    promise.then(
      (value) => {
        takeBack();
        resolve(value);
      },
      (error: unknown) => {
        takeBack();
        reject(error);
      },
    );
  });
}
