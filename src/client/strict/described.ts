/** Values as messages name them: short, and without what may be a secret. */

const textLengthMax = 60;

/** `"text"`, `1.5`, `a promise (was an await forgotten?)`, `an object`. */
export function described(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(
        value.length > textLengthMax ? `${value.slice(0, textLengthMax)}...` : value,
      );
    case 'bigint':
      return `${value}n`;
    case 'object':
      return value === null ? 'null' : describedObject(value);
    case 'function':
      return 'a function';
    case 'symbol':
      return 'a symbol';
    default:
      return String(value);
  }
}

function describedObject(value: object): string {
  if (isThenable(value)) return 'a promise (was an await forgotten?)';
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Uint8Array) return 'bytes';
  const { name } = value.constructor ?? {};
  return name === undefined || name === 'Object' ? 'an object' : `an object (${name})`;
}

/** Something that `await` would wait for, and that is no value itself. */
export function isThenable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as { readonly then?: unknown }).then === 'function';
}
