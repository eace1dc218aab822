// A guest is hostile: calls of terminals, ipc and sockets with random arguments give a number and never throw.
import { expect, it } from 'vitest';
import { checkPlain } from '../freeze.ts';
import { newRandom, randomBelow, randomFill, type RandomState } from '../lib/random.ts';
import { BASE, callKernel } from './calls.test-kernel.ts';
import { syscallTable } from './table.ts';

const FAMILIES =
  /^(ioctl|pipe2?|poll|ppoll|select|pselect6|epoll_|eventfd|timerfd|signalfd|socket|bind$|listen$|accept|connect$|get(sock|peer)|setsockopt|shutdown|send(to|m)|recv|shm|msg|sem|mq_|close$|dup)/;
const CALLS = 4_000;
const NUMBERS = [
  0,
  1,
  2,
  3,
  4,
  5,
  7,
  8,
  16,
  64,
  128,
  255,
  1024,
  4096,
  65_535,
  -1,
  -2,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 47,
  2 ** 53,
];
const REQUESTS = [
  0x5401, 0x5402, 0x5404, 0x540b, 0x540e, 0x540f, 0x5410, 0x5413, 0x5414, 0x541b, 0x5420, 0x5421, 0x5422,
  0x5437, 0x5441, 0x5603, 0x8912, 0x8915,
];

function argument(random: RandomState): number {
  const kind = randomBelow(random, 10);
  if (kind < 4) return randomBelow(random, 24); // small: descriptors, flags
  if (kind < 7) return BASE + randomBelow(random, 0x10_0000);
  if (kind < 8) return REQUESTS[randomBelow(random, REQUESTS.length)] ?? 0;
  return NUMBERS[randomBelow(random, NUMBERS.length)] ?? 0;
}

it.each([1, 2, 3])('random calls never throw, seed %i', (seed) => {
  const k = callKernel();
  const random = newRandom(seed);
  const declarations = syscallTable.flatMap((entry) =>
    entry !== undefined && FAMILIES.test(entry.name) ? [entry] : [],
  );
  const tasks = [k.task(), k.task({ uid: 1000 })];
  for (const task of tasks) {
    for (const path of ['/dev/tty1', '/dev/ptmx', '/dev/null', '/dev/kmsg']) k.open(task, path, 2 | 0o4000);
  }
  for (let i = 0; i < CALLS; i++) {
    const task = tasks[randomBelow(random, tasks.length)];
    const declaration = declarations[randomBelow(random, declarations.length)];
    if (task === undefined || declaration === undefined) continue;
    if (i % 50 === 0) {
      const noise = new Uint8Array(4096);
      randomFill(random, noise);
      for (let at = 0; at < 4096; at += 1 + randomBelow(random, 64)) noise[at] = 0;
      k.put(task, BASE + 4096 * randomBelow(random, 64), noise);
    }
    const args = Object.values(declaration.args).map((type) => {
      const value = argument(random);
      return type.kind === 'int'
        ? value | 0
        : type.kind === 'uint'
          ? value >>> 0
          : type.kind === 'long'
            ? value
            : Math.abs(value);
    });
    const result = k.call(task, declaration.name, ...args);
    expect(Number.isInteger(result), `${declaration.name}(${args.join(', ')}) gave ${result}`).toBe(true);
    task.signals.savedMask = null;
    task.process.groupExit = null;
    task.process.shared.pendingMask = 0n;
    task.process.shared.queue.length = 0;
    task.signals.pendingMask = 0n;
    if (i % 500 === 499) k.advance(1e9);
  }
  const { machine: _machine, door: _door, cache: _cache, recorder: _recorder, ...state } = k.kernel;
  expect(() => checkPlain(state)).not.toThrow(); // whatever is open now, a snapshot can hold it
});
