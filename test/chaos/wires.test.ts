import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SimRandom } from '../../src/sim/index.js';
import { eventually } from '../helpers/eventually.js';
import { cut, fair, Wires } from './wires.js';

/** Everything here dials from one process, so that process is "me"; "you" listens. */
let wires: Wires;
let listener: Server;
let port = 0;
const atYou: Socket[] = [];
const dialled: Socket[] = [];

beforeEach(async () => {
  listener = createServer((socket) => {
    socket.on('error', () => {});
    atYou.push(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  wires = new Wires(new SimRandom(1), () => new Map([[process.pid, 'me']]));
  port = await wires.expose('you', typeof address === 'object' ? (address?.port ?? 0) : 0);
});

afterEach(() => {
  for (const socket of [...atYou.splice(0), ...dialled.splice(0)]) socket.destroy();
  wires.close();
  listener.close();
});

/** A connection from me to you: what each end has received so far, and how to send. */
async function link() {
  const before = atYou.length;
  const mine = dial(port, '127.0.0.1');
  mine.on('error', () => {});
  dialled.push(mine);
  const yours = await eventually(() => atYou[before], 'a connection at the other end');
  const heard = { you: '', me: '' };
  yours.setEncoding('latin1').on('data', (text: string) => {
    heard.you += text;
  });
  mine.setEncoding('latin1').on('data', (text: string) => {
    heard.me += text;
  });
  return { mine, yours, heard };
}

describe('wires between members', () => {
  it('carry bytes both ways, and know who dialled', async () => {
    const { mine, yours, heard } = await link();
    mine.write('to you');
    yours.write('to me');
    await eventually(() => (heard.you + heard.me === 'to youto me' ? true : undefined), 'both');
    expect(wires.connections).toBe(1);
    wires.reset('me');
    await eventually(() => (mine.destroyed ? true : undefined), 'the reset');
  });

  it('hold back one direction when that is cut, and nothing is lost', async () => {
    const { mine, yours, heard } = await link();
    wires.set('me', 'you', cut);
    mine.write('held');
    yours.write('passes');
    await eventually(() => (heard.me === 'passes' ? true : undefined), 'the other direction');
    expect(heard.you).toBe('');
    wires.set('me', 'you', fair);
    mine.write(' back');
    await eventually(() => (heard.you === 'held back' ? true : undefined), 'what was held');
  });

  it('also hold back connections that are made while they are cut', async () => {
    wires.set('me', 'you', cut);
    const { mine, heard } = await link();
    mine.write('late');
    wires.set('me', 'you', fair);
    await eventually(() => (heard.you === 'late' ? true : undefined), 'what was held');
  });

  it('keep the order when pieces are late or sent again', async () => {
    wires.set('me', 'you', { cut: false, delayMsMin: 0, delayMsMax: 5, lossChance: 0.01 });
    const { mine, heard } = await link();
    const pieces = Array.from({ length: 200 }, (_, i) => `${i},`);
    for (const piece of pieces) {
      mine.write(piece);
      await turn();
    }
    await eventually(() => (heard.you === pieces.join('') ? true : undefined), 'all in order');
  });

  it('are fair again when healed, or the connection ends', async () => {
    const links = [await link(), await link(), await link(), await link(), await link()];
    wires.set('you', 'me', cut);
    for (const { yours } of links) yours.write('x');
    wires.heal();
    await eventually(
      () =>
        links.every(({ mine, heard }) => mine.destroyed || heard.me === 'x') ? true : undefined,
      'either',
    );
    expect(wires.weather('you', 'me')).toEqual(fair);
  });
});
