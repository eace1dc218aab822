import { createHash, randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { createMachineFile, MachineFileError, openMachineFile } from './index.ts';
import type { MachineFile, SnapshotContent } from './index.ts';
import { createWholeImage } from './image.ts';
import { config, IMAGE_BLOCKS, inFolder, page } from './testing.ts';

const PAGE = 4096;

/** The connection that was last opened, seen by the pragmas that opening it runs. */
let opened: Database.Database | undefined;
const lastOpened = () => opened;
const pragma: unknown = Reflect.get(Database.prototype, 'pragma');
Database.prototype.pragma = function (this: Database.Database, ...args) {
  const remember = (db: Database.Database) => (opened = db);
  remember(this);
  const result: unknown = typeof pragma === 'function' ? Reflect.apply(pragma, this, args) : undefined;
  return result;
};

const identity = (value: unknown) => value;
const meta = (virtualNs: number) => ({
  virtualNs,
  createdAt: '2020-01-01T00:00:00Z',
  details: { note: virtualNs },
});

function ramOf(tags: Readonly<Record<number, number>>): Uint8Array {
  const ram = new Uint8Array(config.memoryBytes);
  for (const [frame, tag] of Object.entries(tags)) ram.set(page(tag), Number(frame) * PAGE);
  return ram;
}

function content(
  tags: Readonly<Record<number, number>>,
  kernel: unknown = { tasks: new Map([[1, 'init']]) },
): SnapshotContent {
  return { kernel, cpus: [Uint8Array.of(1, 2, 3), Uint8Array.of(4)], ram: ramOf(tags) };
}

function withMachine<T>(use: (machine: MachineFile, path: string, reopen: () => MachineFile) => T): T {
  return inFolder((folder, image) => {
    const path = join(folder, 'machine.ringside');
    let machine = createMachineFile(path, { image, config });
    const reopen = () => {
      machine.close();
      machine = openMachineFile(path);
      return machine;
    };
    try {
      return use(machine, path, reopen);
    } finally {
      machine.close();
    }
  });
}

const readTag = (machine: MachineFile, block: number) => {
  const bytes = machine.disk('vda').readBlock(block);
  return bytes === null ? null : new DataView(bytes.buffer).getUint32(0);
};

describe('disks', () => {
  it('begin as the image and a swap area', () => {
    withMachine((machine) => {
      expect(machine.diskNames()).toEqual(['vda', 'vdb']);
      expect(machine.disk('vda').blockCount).toBe(IMAGE_BLOCKS);
      expect(readTag(machine, 3)).toBe(3);
      expect(readTag(machine, 4)).toBe(null);
      expect(new TextDecoder().decode(machine.disk('vdb').readBlocks(0, 1).subarray(4086))).toBe(
        'SWAPSPACE2',
      );
    });
  });

  it('keep what was flushed, and give back what was only written', () => {
    withMachine((first, _path, reopen) => {
      const disk = first.disk('vda');
      disk.writeBlocks(10, page(1000));
      expect(readTag(first, 10)).toBe(1000);
      disk.flush();
      disk.writeBlocks(12, new Uint8Array(PAGE));
      disk.flush();
      const machine = reopen();
      expect(readTag(machine, 10)).toBe(1000);
      expect(readTag(machine, 12)).toBe(null);
      expect(readTag(machine, 9)).toBe(9);
      const run = machine.disk('vda').readBlocks(9, 4);
      expect([0, 1, 2, 3].map((at) => new DataView(run.buffer).getUint32(at * PAGE))).toEqual([
        9, 1000, 0, 0,
      ]);
    });
  });

  it('drop what is not flushed when told to', () => {
    inFolder((folder, image) => {
      const path = join(folder, 'm.ringside');
      const machine = createMachineFile(path, { image, config });
      machine.disk('vda').writeBlocks(10, page(1000));
      machine.close({ dropUnflushed: true });
      const again = openMachineFile(path);
      expect(readTag(again, 10)).toBe(null);
      again.close();
    });
  });

  it('store a content once, and let go of what is overwritten', () => {
    withMachine((machine, path, reopen) => {
      const disk = machine.disk('vda');
      for (let round = 0; round < 200; round++) {
        for (let block = 1000; block < 1100; block++) disk.writeBlocks(block, page(block, round % 2));
        disk.flush();
      }
      reopen();
      // Two hundred rounds of 400 KiB, of which one is kept.
      expect(statSync(path).size).toBeLessThan(600_000);
    });
  });

  it.each([
    ['before the first block', -1, 1],
    ['after the last block', IMAGE_BLOCKS, 1],
    ['over the end', IMAGE_BLOCKS - 1, 2],
  ])('refuse a write %s', (_case, first, count) => {
    withMachine((machine) => {
      expect(() => machine.disk('vda').writeBlocks(first, new Uint8Array(count * PAGE))).toThrow(/outside/);
      expect(() => machine.disk('vda').readBlocks(first, count)).toThrow(/outside/);
    });
  });

  it('go out to a raw file and come back', () => {
    inFolder((folder, image) => {
      const machine = createMachineFile(join(folder, 'a.ringside'), { image, config });
      const other = createMachineFile(join(folder, 'b.ringside'), { image, config });
      machine.disk('vda').writeBlocks(7, page(700));
      machine.exportDisk('vda', join(folder, 'raw'));
      other.disk('vda').writeBlocks(8, page(800));
      other.importDisk('vda', join(folder, 'raw'));
      expect(
        Buffer.compare(other.disk('vda').readBlocks(0, IMAGE_BLOCKS), readFileSync(join(folder, 'raw'))),
      ).toBe(0);
      expect(readTag(other, 7)).toBe(700);
      expect(readTag(other, 8)).toBe(null);
      machine.close();
      other.close();
    });
  });
});

describe('snapshots', () => {
  it('bring back CPUs, kernel, RAM and disks', () => {
    withMachine((first, _path, reopen) => {
      first.disk('vda').writeBlocks(10, page(111));
      first.saveSnapshot('one', content({ 0: 5, 100: 6, 16383: 7 }), meta(1));
      first.disk('vda').writeBlocks(10, page(222));
      first.disk('vda').writeBlocks(3, page(333));
      first.disk('vda').flush();
      first.saveSnapshot('two', content({ 0: 5, 100: 8 }), meta(2));
      first.disk('vda').writeBlocks(10, page(444));
      first.disk('vda').flush();
      const machine = reopen();
      expect(machine.listSnapshots().map(({ name, virtualNs }) => [name, virtualNs])).toEqual([
        ['one', 1],
        ['two', 2],
      ]);
      const ram = new Uint8Array(config.memoryBytes);
      const one = machine.loadSnapshot('one', { ram, isZeroed: true }, identity);
      expect(one.kernel).toEqual({ tasks: new Map([[1, 'init']]) });
      expect(one.cpus).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4)]);
      expect(one.info.details).toEqual({ note: 1 });
      expect(Buffer.compare(ram, ramOf({ 0: 5, 100: 6, 16383: 7 }))).toBe(0);
      expect([readTag(machine, 10), readTag(machine, 3)]).toEqual([111, 3]);
      machine.loadSnapshot('two', { ram, isZeroed: false }, identity);
      expect(Buffer.compare(ram, ramOf({ 0: 5, 100: 8 }))).toBe(0);
      expect([readTag(machine, 10), readTag(machine, 3)]).toEqual([222, 333]);
      const again = reopen();
      expect([readTag(again, 10), readTag(again, 3)]).toEqual([222, 333]);
      expect(again.verify()).toEqual([]);
    });
  });

  it('may be deleted in any order without harm to the others', () => {
    withMachine((machine) => {
      const disk = machine.disk('vda');
      for (const number of [1, 2, 3, 4]) {
        disk.writeBlocks(10, page(number * 1000));
        machine.saveSnapshot(`s${number}`, content({ 1: number, 2: 50 }), meta(number));
      }
      machine.deleteSnapshot('s2');
      machine.deleteSnapshot('s4');
      const ram = new Uint8Array(config.memoryBytes);
      for (const number of [3, 1]) {
        machine.loadSnapshot(`s${number}`, { ram, isZeroed: false }, identity);
        expect(Buffer.compare(ram, ramOf({ 1: number, 2: 50 }))).toBe(0);
        expect(readTag(machine, 10)).toBe(number * 1000);
      }
      expect(() => machine.loadSnapshot('s2', { ram, isZeroed: false }, identity)).toThrow(
        /no snapshot named s2/,
      );
      expect(() => machine.saveSnapshot('s1', content({}), meta(9))).toThrow(/already a snapshot named s1/);
      expect(machine.verify()).toEqual([]);
    });
  });

  it('cost little when little has changed', () => {
    withMachine((machine, path, reopen) => {
      const ram = new Uint8Array(config.memoryBytes);
      let random = 1;
      for (let at = 0; at < 8 * 1024 ** 2; at++) {
        random = (Math.imul(random, 1103515245) + 12345) >>> 0;
        ram[at] = random >>> 24;
      }
      const state = { kernel: null, cpus: [], ram };
      machine.saveSnapshot('a', state, meta(1));
      const again = reopen();
      const before = statSync(path).size;
      ram.fill(9, 4096, 8192);
      again.saveSnapshot('b', state, meta(2));
      reopen();
      expect(before).toBeGreaterThan(8 * 1024 ** 2);
      expect(statSync(path).size - before).toBeLessThan(100_000);
    });
  });

  it('skip frames that are not in use', () => {
    withMachine((machine) => {
      const framesInUse = new Uint8Array(config.memoryBytes / PAGE / 8);
      framesInUse[0] = 0b10;
      machine.saveSnapshot('a', { ...content({ 0: 1, 1: 2 }), framesInUse }, meta(1));
      const ram = new Uint8Array(config.memoryBytes);
      machine.loadSnapshot('a', { ram, isZeroed: true }, identity);
      expect(Buffer.compare(ram, ramOf({ 1: 2 }))).toBe(0);
    });
  });

  it('hand the kernel state to the check first', () => {
    withMachine((machine) => {
      machine.disk('vda').writeBlocks(10, page(5));
      machine.saveSnapshot('a', content({}), meta(1));
      machine.disk('vda').writeBlocks(10, page(6));
      const refuse = () => {
        throw new Error('not a kernel');
      };
      const ram = new Uint8Array(config.memoryBytes);
      expect(() => machine.loadSnapshot('a', { ram, isZeroed: true }, refuse)).toThrow('not a kernel');
      expect(readTag(machine, 10)).toBe(6);
    });
  });
});

describe('the running state', () => {
  const load = (machine: MachineFile) => {
    const ram = new Uint8Array(config.memoryBytes);
    return machine.loadRunning({ ram, isZeroed: true }, identity) === undefined ? undefined : ram;
  };

  it('is there after closing, with what was not flushed', () => {
    withMachine((first, _path, reopen) => {
      expect(first.findRunning()).toBe(undefined);
      first.disk('vda').writeBlocks(10, page(77));
      first.saveRunning(content({ 4: 44 }), meta(5));
      const machine = reopen();
      expect(machine.findRunning()?.virtualNs).toBe(5);
      expect(Buffer.compare(load(machine) ?? new Uint8Array(), ramOf({ 4: 44 }))).toBe(0);
      expect(readTag(machine, 10)).toBe(77);
      expect(machine.listSnapshots()).toEqual([]);
    });
  });

  it('is stale after a later disk write, and fresh again when saved again', () => {
    withMachine((first, _path, reopen) => {
      first.saveRunning(content({ 4: 44 }), meta(5));
      first.disk('vda').writeBlocks(10, page(77));
      expect(first.findRunning()?.virtualNs).toBe(5); // nothing durable yet
      first.disk('vda').flush();
      expect(first.findRunning()).toBe(undefined);
      const machine = reopen();
      expect(load(machine)).toBe(undefined);
      machine.saveRunning(content({ 4: 45 }), meta(6));
      expect(Buffer.compare(load(reopen()) ?? new Uint8Array(), ramOf({ 4: 45 }))).toBe(0);
    });
  });

  it('is forgotten at power-off and when a snapshot is opened', () => {
    withMachine((machine) => {
      machine.saveSnapshot('a', content({}), meta(1));
      machine.saveRunning(content({ 4: 44 }), meta(5));
      machine.dropRunning();
      expect(load(machine)).toBe(undefined);
      machine.saveRunning(content({ 4: 44 }), meta(5));
      machine.loadSnapshot('a', { ram: new Uint8Array(config.memoryBytes), isZeroed: true }, identity);
      expect(load(machine)).toBe(undefined);
      expect(machine.verify()).toEqual([]);
    });
  });
});

it('keeps inputs, notes and sessions', () => {
  withMachine((first, _path, reopen) => {
    first.appendInput({ atNs: 5, kind: 'key', bytes: Uint8Array.of(104, 105) });
    first.appendInput({ atNs: 9, kind: 'resize' });
    first.writeNote('plan', 'look at the run queue');
    const column = new Uint8Array(new Float64Array([1, 2.5]).buffer);
    first.saveSession({ name: 's', startNs: 1, endNs: 2, meta: { rate: 10 } }, [
      { stream: 'counters', columns: { cpu: column } },
    ]);
    first.appendSessionChunks('s', 8, [{ stream: 'sched', columns: { pid: Uint8Array.of(1) } }]);
    expect(() => first.saveSession({ name: 's', startNs: 1, endNs: 2, meta: null }, [])).toThrow(
      /already a session/,
    );
    const machine = reopen();
    expect(machine.inputs(identity)).toEqual([
      { atNs: 5, kind: 'key', bytes: Uint8Array.of(104, 105) },
      { atNs: 9, kind: 'resize' },
    ]);
    expect(machine.notes()).toEqual(new Map([['plan', 'look at the run queue']]));
    expect(machine.listSessions()).toEqual([{ name: 's', startNs: 1, endNs: 8, meta: { rate: 10 } }]);
    const { chunks } = machine.readSession('s');
    expect(chunks.map((chunk) => chunk.stream)).toEqual(['counters', 'sched']);
    expect([...new Float64Array(chunks[0]?.columns['cpu']?.buffer ?? new ArrayBuffer())]).toEqual([1, 2.5]);
    machine.deleteSession('s');
    expect(machine.listSessions()).toEqual([]);
  });
});

it('is copied by copying the file', () => {
  withMachine((machine, path) => {
    machine.disk('vda').writeBlocks(10, page(42));
    machine.saveSnapshot('a', content({ 3: 3 }), meta(1));
    machine.close();
    expect(existsSync(`${path}-wal`)).toBe(false);
    copyFileSync(path, `${path}-copy`);
    const copy = openMachineFile(`${path}-copy`);
    expect(readTag(copy, 10)).toBe(42);
    expect(copy.listSnapshots().length).toBe(1);
    copy.close();
  });
});

it('is open once at a time', () => {
  withMachine((_machine, path) => {
    expect(() => openMachineFile(path)).toThrow(/already open/);
  });
});

it('may be opened for reading only', () => {
  withMachine((machine, path) => {
    machine.close();
    const hashOf = () => createHash('sha256').update(readFileSync(path)).digest('hex');
    const before = hashOf();
    const reader = openMachineFile(path, { readOnly: true });
    expect(readTag(reader, 3)).toBe(3);
    expect(reader.readConfig()).toEqual(config);
    expect(() => reader.disk('vda').writeBlocks(0, page(1))).toThrow(/reading only/);
    reader.close();
    expect(hashOf()).toBe(before);
  });
});

it.each([
  ['no CPU', { cpus: 0 }, /CPUs/],
  ['little memory', { memoryBytes: 1024 ** 2 }, /64 MiB/],
  ['a negative seed', { seed: -1 }, /seed/],
  ['no name', { name: '' }, /name/],
])('refuses a configuration with %s and leaves no file', (_case, change, message) => {
  inFolder((folder, image) => {
    const path = join(folder, 'm.ringside');
    expect(() => createMachineFile(path, { image, config: { ...config, ...change } })).toThrow(message);
    expect(existsSync(path)).toBe(false);
  });
});

it('makes the same image from the same blocks, bit for bit', () => {
  inFolder((folder) => {
    const blocks = [...Array(100).keys()].map((index): [number, Uint8Array] => [index * 5, page(index)]);
    const hashes = [blocks, blocks.toReversed()].map((list, index) => {
      const path = join(folder, `${index}.ringside-image`);
      createWholeImage(path, { packages: [1] }, [{ name: 'vda', blockCount: 1000, blocks: new Map(list) }]);
      return createHash('sha256').update(readFileSync(path)).digest('hex');
    });
    expect(hashes[0]).toBe(hashes[1]);
  });
});

it('says when the host disk is full, loses nothing, and goes on once there is room', () => {
  withMachine((machine) => {
    const disk = machine.disk('vda');
    machine.saveSnapshot('before', content({ 1: 1 }), meta(1));
    const noise = (block: number) => randomBytes(PAGE).fill(block, 0, 4);
    const pages = new Map(Array.from({ length: 100 }, (_, index) => [1000 + index, noise(index)]));
    for (const [block, bytes] of pages) disk.writeBlocks(block, bytes);
    const used = Number(lastOpened()?.pragma('page_count', { simple: true }));
    lastOpened()?.pragma(`max_page_count = ${used + 5}`);
    expect(() => disk.flush()).toThrow(/host's disk is full/);
    expect(() => machine.saveSnapshot('during', content({ 1: 2 }), meta(2))).toThrow(/host's disk is full/);
    expect(() => machine.saveRunning(content({ 1: 2 }), meta(2))).toThrow(MachineFileError);
    for (const [block, bytes] of pages) expect(Buffer.compare(disk.readBlocks(block, 1), bytes)).toBe(0);
    lastOpened()?.pragma('max_page_count = 1000000');
    disk.flush();
    machine.saveSnapshot('after', content({ 1: 3 }), meta(3));
    expect(machine.listSnapshots().map(({ name }) => name)).toEqual(['before', 'after']);
    for (const [block, bytes] of pages) expect(Buffer.compare(disk.readBlocks(block, 1), bytes)).toBe(0);
    expect(machine.verify()).toEqual([]);
  });
});

it('keeps few layers, however many snapshots come and go', () => {
  withMachine((first, path, reopen) => {
    const disk = first.disk('vda');
    for (let round = 0; round < 12; round++) {
      disk.writeBlocks(20 + round, page(round, 1));
      disk.writeBlocks(5, page(round, 2));
      first.saveSnapshot(`s${round}`, content({ 1: round }), meta(round));
      if (round > 0) first.deleteSnapshot(`s${round - 1}`);
      disk.writeBlocks(6, page(round, 3));
    }
    const machine = reopen();
    expect(Array.from({ length: 12 }, (_, round) => readTag(machine, 20 + round))).toEqual([
      ...Array(12).keys(),
    ]);
    expect([readTag(machine, 5), readTag(machine, 6)]).toEqual([11, 11]);
    expect(machine.verify()).toEqual([]);
    machine.close();
    const db = new Database(path, { readonly: true });
    expect(db.prepare('SELECT count(*) FROM layer').pluck().get()).toBeLessThanOrEqual(6); // each of two disks: its first, the last snapshot's, the top
    db.close();
  });
});

it('behaves as a plain model does, over random work', () => {
  withMachine((first, _path, reopen) => {
    let machine = first;
    let random = 12345;
    const below = (limit: number) => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return Math.floor((random / 2 ** 32) * limit);
    };
    const BLOCKS = 600;
    const read = () => Array.from({ length: BLOCKS }, (_, block) => readTag(machine, block) ?? 0); // a page of the image is tagged with its block
    let model = read();
    const saved = new Map<string, { disk: number[]; ram: Uint8Array }>();
    const ram = new Uint8Array(config.memoryBytes);
    const framesInUse = new Uint8Array(config.memoryBytes / PAGE / 8).fill(0xff, 0, 8);
    for (let step = 0; step < 150; step++) {
      const action = below(20);
      if (action < 10) {
        for (let count = below(60); count >= 0; count--) {
          const block = below(BLOCKS);
          const tag = below(4) === 0 ? 0 : 1 + below(50);
          machine.disk('vda').writeBlocks(block, tag === 0 ? new Uint8Array(PAGE) : page(tag));
          model[block] = tag;
        }
      } else if (action < 13) machine.disk('vda').flush();
      else if (action < 14) machine = reopen();
      else if (action < 17) {
        for (let count = 0; count < 5; count++) ram.set(page(below(30)), below(64) * PAGE);
        const name = `s${step}`;
        machine.saveSnapshot(name, { kernel: step, cpus: [], ram, framesInUse }, meta(step));
        saved.set(name, { disk: [...model], ram: ram.slice(0, 64 * PAGE) });
      } else {
        const name = [...saved.keys()][below(saved.size)];
        const state = name === undefined ? undefined : saved.get(name);
        if (name === undefined || state === undefined) continue;
        if (action === 17 && saved.size > 3) {
          machine.deleteSnapshot(name);
          saved.delete(name);
        } else {
          machine.loadSnapshot(name, { ram, isZeroed: false }, identity);
          model = [...state.disk];
          expect(Buffer.compare(ram.subarray(0, 64 * PAGE), state.ram)).toBe(0);
        }
      }
      if (step % 10 === 0) expect(read()).toEqual(model);
    }
    machine = reopen();
    expect(read()).toEqual(model);
    expect(machine.verify()).toEqual([]);
  });
});
