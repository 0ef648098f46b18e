/**
 * Golden interaction traces: everything the core does in a scenario, in full, so that any change of
 * behaviour shows in a diff. UPDATE_TRACES=1 rewrites the expected output; read the diff then.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { TraceRunner } from './support/trace-runner.js';

const folder = new URL('./traces/', import.meta.url);
const update = process.env.UPDATE_TRACES !== undefined;

/** Blocks are separated by empty lines; comment lines stay where they are. */
function rerun(source: string): string {
  const runner = new TraceRunner();
  const blocks = source.trimEnd().split(/\n\n+/);
  const done = blocks.map((block) => {
    const [script = ''] = block.split(/^----$/m);
    const lines = script.trimEnd().split('\n');
    const commands = lines.filter((line) => !line.startsWith('#') && line.trim() !== '');
    if (commands.length === 0) return lines.join('\n');
    const output = commands.flatMap((command) => runner.run(command));
    return [...lines, '----', ...(output.length === 0 ? ['ok'] : output)].join('\n');
  });
  return `${done.join('\n\n')}\n`;
}

const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));

test('there are scenarios', () => {
  expect(files.length).toBeGreaterThanOrEqual(12);
});

test.each(files)('%s', (name) => {
  const file = new URL(name, folder);
  const source = readFileSync(file, 'utf8');
  const actual = rerun(source);
  if (update) writeFileSync(file, actual);
  else expect(actual).toBe(source);
});
