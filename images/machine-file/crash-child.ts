/**
 * The victim of crash.test.ts: writes generation after generation to a machine's disk, in one of several
 * scenarios, and kills itself in the middle of the n-th statement that changes the database. Before that it
 * prints each promise that the machine file has made: "flushed N" once generation N must survive.
 *
 *   node crash-child.ts FILE SCENARIO N
 */
import Database from 'better-sqlite3';
import { writeSync } from 'node:fs';
import { openMachineFile } from './index.ts';
import { config, page } from './testing.ts';

const [path = '', scenario = '', at = '0'] = process.argv.slice(2);
const BLOCKS = 40;
const GENERATIONS = 4;

let left = Number(at);
function dieWhenDue(): void {
  if (left-- === 0) process.kill(process.pid, 'SIGKILL');
}

// Every change goes through Statement.run or Database.exec; the kill comes before or after one of them.
const probe = new Database(':memory:');
function prototypeOf(value: object): object {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (typeof prototype !== 'object' || prototype === null) throw new Error('no prototype');
  return prototype;
}
function wrap(prototype: object, name: string, around: (call: () => unknown) => unknown): void {
  const original: unknown = Reflect.get(prototype, name);
  if (typeof original !== 'function') throw new Error(`${name} is no method`);
  Reflect.set(prototype, name, function (this: unknown, ...values: unknown[]): unknown {
    return around((): unknown => Reflect.apply(original, this, values));
  });
}
wrap(prototypeOf(probe.prepare('SELECT 1')), 'run', (call) => {
  dieWhenDue();
  return call();
});
wrap(prototypeOf(probe), 'exec', (call) => {
  dieWhenDue();
  const result = call();
  dieWhenDue();
  return result;
});

const say = (line: string) => writeSync(1, `${line}\n`);
const machine = openMachineFile(path);
const disk = machine.disk('vda');
const ram = new Uint8Array(config.memoryBytes);
const framesInUse = Uint8Array.of(0xff, ...new Uint8Array(config.memoryBytes / 4096 / 8 - 1));
for (let generation = 1; generation <= GENERATIONS; generation++) {
  for (let block = 0; block < BLOCKS; block++) disk.writeBlocks(block * 7, page(block, generation));
  ram.set(page(generation), generation * 4096);
  const content = { kernel: { generation }, cpus: [], ram, framesInUse };
  const meta = { virtualNs: generation, createdAt: '' };
  if (scenario === 'running') machine.saveRunning(content, meta);
  else if (scenario === 'snapshots') {
    machine.saveSnapshot(`g${generation}`, content, meta);
    if (generation > 2) machine.deleteSnapshot(`g${generation - 2}`);
  } else disk.flush();
  say(`flushed ${generation}`);
}
machine.close();
say('closed');
