/** JSON of which nobody knows whether it is any. */

/** An empty object for what is none. */
export function parseJson(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
