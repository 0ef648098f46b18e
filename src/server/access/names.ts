/** Names of users and roles, in the order of their bytes, as etcd keeps and lists them. */

/** Compares the UTF-8 of two names without making it. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Of a UTF-16 unit: halves of what is beyond 0xffff sort behind everything else. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Where `name` is among sorted names, or would be: the number of those before it. */
export function placeOfName(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNames(names[middle] as string, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function hasName(names: readonly string[], name: string): boolean {
  return names[placeOfName(names, name)] === name;
}

/** Puts `name` in its place; false: it is there already. */
export function insertName(names: string[], name: string): boolean {
  const place = placeOfName(names, name);
  if (names[place] === name) return false;
  names.splice(place, 0, name);
  return true;
}

/** False: it is not there. */
export function removeName(names: string[], name: string): boolean {
  const place = placeOfName(names, name);
  if (names[place] !== name) return false;
  names.splice(place, 1);
  return true;
}
