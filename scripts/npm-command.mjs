/** The npm to run: the one that runs us, or the one on the PATH. */

/** How to run npm with these arguments. */
export function npmCommand(args) {
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js')) return { file: process.execPath, args: [script, ...args] };
  return { file: process.platform === 'win32' ? 'npm.cmd' : 'npm', args };
}
