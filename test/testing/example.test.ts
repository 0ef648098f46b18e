import { expect, it } from 'vitest';
import { leaderLost, oneNode, type Print, restarts, splitBrain } from '../../examples/testing.js';

/** Lines in brackets tell times; what is said otherwise is the same on any machine. */
async function said(example: (print: Print) => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  await example((line) => {
    if (line.startsWith('(')) console.log(line);
    else lines.push(line);
  });
  return lines;
}

it('one node', async () => {
  expect(await said(oneNode)).toEqual(['one node says hello']);
});

it('a restart', async () => {
  expect(await said(restarts)).toEqual(['after a restart: yes']);
});

it('a lost leader', async () => {
  expect(await said(leaderLost)).toEqual(['the old leader knows 2']);
});

it('two sides of a partition', async () => {
  expect(await said(splitBrain)).toEqual([
    'what the minority was told was not answered',
    'it may still be asked, and says "before"',
    'then all say "majority"',
  ]);
});
