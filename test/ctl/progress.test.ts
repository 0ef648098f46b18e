import { describe, expect, it } from 'vitest';
import { progress } from '../../src/ctl/progress/index.js';
import { collectingIo } from '../helpers/ctl-in-process.js';

/** A terminal whose clock stands still until it is told. */
function terminal(columns = 100) {
  let nowMs = 0;
  const { io, stderr } = collectingIo({ onTerminal: true });
  const clock = { ...io.clock, nowMs: () => nowMs };
  return {
    io: { ...io, clock, terminal: { ...io.terminal, columns } },
    wait: (ms: number) => {
      nowMs += ms;
    },
    /** The lines that were shown one after the other. */
    shown: () => stderr().split('\r\u001b[K').slice(1),
  };
}

describe('progress', () => {
  it('shows how far it has come, how fast, and what is left', () => {
    const { io, wait, shown } = terminal();
    const bar = progress(io, { title: 'saving', total: 40_000_000, unit: 'bytes' });
    wait(1_000);
    bar.advance(10_000_000);
    wait(1_000);
    bar.set(40_000_000);
    bar.end('saved');
    expect(shown()).toEqual([
      `saving  ${'─'.repeat(24)}   0%  0 B of 40 MB`,
      `saving  ${'━'.repeat(6)}${'─'.repeat(18)}  25%  10 MB of 40 MB  10 MB/s  3s left`,
      `saving  ${'━'.repeat(24)} 100%  40 MB of 40 MB  20 MB/s  0s left`,
      'saved\n',
    ]);
  });

  it('counts where nobody knows the end, and takes it when somebody does', () => {
    const { io, wait, shown } = terminal();
    const bar = progress(io, { title: 'copying', unit: 'keys' });
    wait(200);
    bar.set(1_234_567);
    wait(200);
    bar.set(1_500_000, 3_000_000);
    expect(shown()).toEqual([
      'copying  0 keys',
      'copying  1,234,567 keys',
      `copying  ${'━'.repeat(12)}${'─'.repeat(12)}  50%  1,500,000 keys of 3,000,000 keys`,
    ]);
  });

  it('is not drawn at each step, nor beyond the width, nor after its end', () => {
    const { io, wait, shown } = terminal(10);
    const bar = progress(io, { title: 'copying', unit: 'keys' });
    for (let i = 0; i < 1_000; i += 1) bar.advance(1);
    wait(100);
    bar.advance(1);
    bar.end();
    bar.advance(1);
    bar.end('twice');
    expect(shown()).toEqual(['copying  ', 'copying  ', '']);
  });

  it('is not there where nobody sits', () => {
    const { io, stderr } = collectingIo();
    const bar = progress(io, { title: 'copying', unit: 'keys' });
    bar.advance(1);
    bar.end('done');
    expect(stderr()).toBe('');
  });
});
