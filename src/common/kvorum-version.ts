/** Our own version, the one in package.json (a test holds them together). */
export const kvorumVersion = '0.1.0';
