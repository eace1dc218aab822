import { describe, expect, it } from 'vitest';
import { failed } from '../abi/errno.ts';
import { MADV, MAP, MREMAP, PROT } from '../abi/mman.ts';
import { kernelThreads } from '../sched/kernel-thread.ts';
import { newRandom, randomBelow } from '../lib/random.ts';
import { put32 } from '../lib/bytes.ts';
import './flusher.ts';
import './kswapd.ts';
import { adviseMemory } from './advise.ts';
import { auditMemory } from './audit.ts';
import { mapMemory, protectMemory, unmapMemory } from './map.ts';
import { forkMm, putMm } from './mm-life.ts';
import type { Mm } from './mm.ts';
import { dropAllPages, grabPage, markDirty } from './page-cache.ts';
import { remapMemory } from './remap.ts';
import { memoryInfo, vmStat } from './statistics.ts';
import { swapOff, swapOn } from './swap-area.ts';
import { must, testFile, testKernel, testTask, type TestKernel } from './mm.test-kernel.ts';
import { loadUser32, storeUser32 } from './user-memory.ts';
import { writeBackSpace } from './write-back.ts';

const RW = PROT.read | PROT.write;
const ANON = MAP.private | MAP.anonymous;
const BLOCKED = -10_000;

function addSwap(test: TestKernel, mebibytes: number): number {
  const header = new Uint8Array(4096);
  const slots = mebibytes * 256;
  put32(header, 1024, 1);
  put32(header, 1028, slots - 1);
  header.set(new TextEncoder().encode('SWAPSPACE2'), 4086);
  return must(
    swapOn(test.kernel, { path: '/dev/vdb', device: 'vdb', firstBlock: 0, blockCount: slots, header }, 0),
  );
}

/** Repeats an operation as the trap loop would, with kswapd, the flusher and the disk going on meanwhile. */
function run<T>(test: TestKernel, operation: () => T): T {
  const { kernel } = test;
  const [queue] = kernel.sched.runQueues;
  const current = queue?.current ?? null;
  const step = (name: string): void => {
    const thread = kernel.tasks.get(name === 'kswapd' ? 2 : 3) ?? testTask(name === 'kswapd' ? 2 : 3, null);
    kernel.tasks.set(thread.tid, thread);
    thread.kernelThread ??= { name, data: null };
    if (thread.state !== 'running') return;
    if (queue !== undefined) queue.current = thread;
    kernelThreads[name]?.(kernel, thread);
    if (queue !== undefined) queue.current = current;
  };
  for (let i = 0; i < 20_000; i++) {
    const result = operation();
    step('kswapd');
    step('flusher');
    if (result !== BLOCKED) {
      if (test.disk.queue.length > 40) finishSome(test, 20);
      return result;
    }
    finishSome(test, Infinity);
    if (current !== null) {
      kernel.sched.blockedTasks = 0;
      current.state = 'running';
    }
  }
  throw new Error('livelock');
}

function finishSome(test: TestKernel, most: number): void {
  for (const done of test.disk.queue.splice(0, most)) done();
  test.kernel.sched.blockedTasks = 0;
}

describe('reclaim and swap', () => {
  it('a program that touches 1.5 times RAM finds every word again', () => {
    const test = testKernel();
    addSwap(test, 16);
    const { kernel, task, mm } = test;
    const pages = 16 * 256 * 1.4;
    const at = must(mapMemory(kernel, mm, { address: 0, length: pages * 4096, protection: RW, flags: ANON }));
    for (let page = 0; page < pages; page++)
      must(run(test, () => storeUser32(kernel, task, at + page * 4096, page * 31 + 7)));
    expect(auditMemory(kernel)).toEqual([]);
    let wrong = 0;
    for (let page = 0; page < pages; page++)
      if (run(test, () => loadUser32(kernel, task, at + page * 4096)) !== page * 31 + 7) wrong++;
    expect(wrong).toBe(0);
    expect(auditMemory(kernel)).toEqual([]);
    expect(kernel.memory.counters.pswpout).toBeGreaterThan(1500);
    expect(kernel.memory.counters.pswpin).toBeGreaterThan(1500);
    expect(task.majorFaults).toBeGreaterThan(100);
    expect(memoryInfo(kernel)['SwapTotal']).toBe(16 * 1024 - 4);
    expect(kernel.memory.oomKills).toBe(0);
    putMm(kernel, mm);
    finishSome(test, Infinity);
    expect(auditMemory(kernel)).toEqual([]);
    expect(kernel.memory.swap.freeSlots).toBe(16 * 256 - 1);
  });

  it('children share swapped pages until they write', () => {
    const test = testKernel();
    const area = addSwap(test, 16);
    const { kernel, task, mm } = test;
    const pages = 3000;
    const at = must(mapMemory(kernel, mm, { address: 0, length: pages * 4096, protection: RW, flags: ANON }));
    for (let page = 0; page < pages; page++)
      must(run(test, () => storeUser32(kernel, task, at + page * 4096, page)));
    const child = must(forkMm(kernel, mm)) as Mm;
    const childTask = testTask(101, child);
    kernel.tasks.set(101, childTask);
    for (let page = 0; page < pages; page += 2)
      must(run(test, () => storeUser32(kernel, childTask, at + page * 4096, page + 1_000_000)));
    expect(auditMemory(kernel)).toEqual([]);
    let wrong = 0;
    for (let page = 0; page < pages; page++) {
      if (run(test, () => loadUser32(kernel, task, at + page * 4096)) !== page) wrong++;
      const expected = page % 2 === 0 ? page + 1_000_000 : page;
      if (run(test, () => loadUser32(kernel, childTask, at + page * 4096)) !== expected) wrong++;
    }
    expect(wrong).toBe(0);
    expect(auditMemory(kernel)).toEqual([]);
    putMm(kernel, child);
    finishSome(test, Infinity);
    expect(auditMemory(kernel)).toEqual([]);
    unmapMemory(kernel, mm, at + 1000 * 4096, 2000 * 4096);
    finishSome(test, Infinity);
    expect(run(test, () => swapOff(kernel, area))).toBe(0);
    expect(auditMemory(kernel)).toEqual([]);
    expect(mm.rss.swap).toBe(0);
    for (let page = 0; page < 1000; page++) if (loadUser32(kernel, task, at + page * 4096) !== page) wrong++;
    expect(wrong).toBe(0);
  });

  it('shared memory goes to swap and comes back', () => {
    const test = testKernel();
    addSwap(test, 16);
    const { kernel, task, mm } = test;
    const pages = Math.floor(16 * 256 * 1.3);
    const at = must(
      mapMemory(kernel, mm, {
        address: 0,
        length: pages * 4096,
        protection: RW,
        flags: MAP.shared | MAP.anonymous,
      }),
    );
    for (let page = 0; page < pages; page++)
      must(run(test, () => storeUser32(kernel, task, at + page * 4096, page + 5)));
    let wrong = 0;
    for (let page = 0; page < pages; page++)
      if (run(test, () => loadUser32(kernel, task, at + page * 4096)) !== page + 5) wrong++;
    expect(wrong).toBe(0);
    expect(auditMemory(kernel)).toEqual([]);
    putMm(kernel, mm);
    finishSome(test, Infinity);
    expect(auditMemory(kernel)).toEqual([]);
    expect(kernel.memory.swap.freeSlots).toBe(16 * 256 - 1);
  });

  it('drops file pages and notices that they come back too soon', () => {
    const test = testKernel();
    const { kernel, task, mm } = test;
    const space = testFile(10_000 * 4096);
    const at = must(
      mapMemory(kernel, mm, {
        address: 0,
        length: 10_000 * 4096,
        protection: PROT.read,
        flags: MAP.shared,
        space,
      }),
    );
    for (let round = 0; round < 2; round++) {
      let wrong = 0;
      for (let page = 0; page < 5000; page++) {
        if (
          (run<number>(test, () => loadUser32(kernel, task, at + page * 4096)) & 0xff) !==
          ((page + 1) & 0xff)
        )
          wrong++;
      }
      expect(wrong).toBe(0);
      expect(auditMemory(kernel)).toEqual([]);
    }
    expect(kernel.memory.counters.pgsteal_file).toBeGreaterThan(2500);
    expect(kernel.memory.counters.workingset_refault_file).toBeGreaterThan(300);
    unmapMemory(kernel, mm, at, 10_000 * 4096);
    finishSome(test, Infinity);
    expect(dropAllPages(kernel)).toBeGreaterThan(300);
    expect(auditMemory(kernel)).toEqual([]);
  });

  it('swaps whole processes when asked to', () => {
    const test = testKernel();
    addSwap(test, 16);
    const { kernel, task, mm } = test;
    kernel.memory.tunables.processSwapping = 1;
    const idle = testTask(200, must(forkMm(kernel, mm)) as Mm);
    idle.state = 'sleeping';
    kernel.tasks.set(200, idle);
    const at = 0x10_0000_0000;
    const idleMm = idle.mm ?? mm;
    must(
      mapMemory(kernel, idleMm, { address: at, length: 500 * 4096, protection: RW, flags: ANON | MAP.fixed }),
    );
    for (let page = 0; page < 500; page++)
      must(run(test, () => storeUser32(kernel, idle, at + page * 4096, page)));
    idle.state = 'sleeping';
    idle.sched.lastRanNs = 0;
    const pages = 2500;
    must(
      mapMemory(kernel, mm, { address: at, length: pages * 4096, protection: RW, flags: ANON | MAP.fixed }),
    );
    for (let page = 0; page < pages; page++)
      must(run(test, () => storeUser32(kernel, task, at + page * 4096, 1)));
    for (let i = 0; i < 20; i++) {
      run(test, () => 0);
      finishSome(test, Infinity);
    }
    expect(idleMm.swappedOut).toBe(true);
    expect(idleMm.rss.anon).toBe(0);
    expect(auditMemory(kernel)).toEqual([]);
    unmapMemory(kernel, mm, at, pages * 4096);
    finishSome(test, Infinity);
    const before = task.majorFaults;
    for (let page = 0; page < 500; page++)
      expect(run(test, () => loadUser32(kernel, idle, at + page * 4096))).toBe(page);
    expect(task.majorFaults).toBe(before + 1);
    expect(auditMemory(kernel)).toEqual([]);
  });

  it('kills the largest process when nothing is left, with a line in the log', () => {
    const test = testKernel();
    const { kernel, task, mm } = test;
    const at = must(
      mapMemory(kernel, mm, { address: 0, length: 14 << 20, protection: RW, flags: ANON | MAP.noReserve }),
    );
    let killed = false;
    for (let page = 0; page < 14 * 256 && !killed; page++) {
      const result = run(test, () => {
        const stored = storeUser32(kernel, task, at + page * 4096, 1);
        if (kernel.memory.oomKills > 0) {
          killed = true;
          return 0;
        }
        return stored;
      });
      if (failed(result)) throw new Error(`page ${page}: ${result}`);
    }
    expect(killed).toBe(true);
    expect(
      kernel.log.lines.some(({ text }) =>
        text.startsWith('Out of memory: Killed process 100 (task100) total-vm:'),
      ),
    ).toBe(true);
    expect(auditMemory(kernel)).toEqual([]);
  });
});

describe('write-back', () => {
  it('throttles writers and writes everything', () => {
    const test = testKernel();
    const { kernel } = test;
    const space = testFile(5000 * 4096);
    for (let page = 0; page < 5000; page++) {
      must<number>(run(test, () => grabPage(kernel, space, page, { overwrite: true })));
      markDirty(kernel, space, page);
    }
    expect(vmStat(kernel)['nr_dirty']).toBeLessThan(16 * 256 * 0.25);
    expect(run(test, () => writeBackSpace(kernel, space, { wait: true }))).toBe(0);
    expect(kernel.memory.dirtyPages).toBe(0);
    expect(kernel.memory.writebackPages).toBe(0);
    expect(auditMemory(kernel)).toEqual([]);
  });
  it('finds writes through shared maps again after a page was cleaned', () => {
    const test = testKernel();
    const { kernel, task, mm } = test;
    const space = testFile(10 * 4096);
    const at = must(
      mapMemory(kernel, mm, { address: 0, length: 10 * 4096, protection: RW, flags: MAP.shared, space }),
    );
    for (let round = 0; round < 3; round++) {
      must(run(test, () => storeUser32(kernel, task, at + 4096, round)));
      expect(space.dirty.has(1)).toBe(true);
      expect(run(test, () => writeBackSpace(kernel, space, { wait: true }))).toBe(0);
      expect(space.dirty.size).toBe(0);
    }
    expect(auditMemory(kernel)).toEqual([]);
  });
});

describe('random maps against a simple model', () => {
  it.each([1, 2, 3])('seed %i', (seed) => {
    const test = testKernel();
    addSwap(test, 8);
    const { kernel, task, mm } = test;
    const random = newRandom(seed);
    const below = (bound: number): number => randomBelow(random, bound);
    const base = 0x10_0000_0000;
    const PAGES = 256;
    // Model: per page undefined (no map) or { value, prot }.
    const model: ({ value: number; prot: number } | undefined)[] = [];
    const others: { mm: Mm; model: typeof model }[] = [];
    for (let step = 0; step < 700; step++) {
      const first = below(PAGES);
      const count = 1 + below(Math.min(24, PAGES - first));
      const address = base + first * 4096;
      const length = count * 4096;
      switch (below(9)) {
        case 0: {
          const prot = below(4) === 0 ? PROT.read : RW;
          expect(mapMemory(kernel, mm, { address, length, protection: prot, flags: ANON | MAP.fixed })).toBe(
            address,
          );
          for (let i = first; i < first + count; i++) model[i] = { value: 0, prot };
          break;
        }
        case 1:
          expect(unmapMemory(kernel, mm, address, length)).toBe(0);
          for (let i = first; i < first + count; i++) model[i] = undefined;
          break;
        case 2: {
          const prot = below(3) === 0 ? PROT.none : below(2) === 0 ? PROT.read : RW;
          const result = protectMemory(kernel, mm, address, length, prot);
          let hole = false;
          for (let i = first; i < first + count && !hole; i++) {
            const page = model[i];
            if (page === undefined) hole = true;
            else page.prot = prot; // prettier-ignore
          }
          expect(failed(result)).toBe(hole);
          break;
        }
        case 3:
          adviseMemory(kernel, mm, address, length, MADV.dontNeed);
          for (let i = first; i < first + count; i++) {
            const page = model[i];
            if (page !== undefined) page.value = 0;
          }
          break;
        case 4: {
          if (others.length >= 3) break;
          const child = must(forkMm(kernel, mm)) as Mm;
          others.push({ mm: child, model: model.map((page) => page && { ...page }) });
          break;
        }
        case 5: {
          const other = others.shift();
          if (other === undefined) break;
          const otherTask = testTask(200, other.mm);
          for (let i = 0; i < PAGES; i++) {
            const page = other.model[i];
            const value = run(test, () => loadUser32(kernel, otherTask, base + i * 4096));
            if (page === undefined || page.prot === PROT.none) expect(failed(value)).toBe(true);
            else expect(value).toBe(page.value); // prettier-ignore
          }
          putMm(kernel, other.mm);
          break;
        }
        case 6: {
          const to = below(PAGES - count);
          if (to < first + count && first < to + count) break;
          const whole = mm.vmas.find((vma) => vma.start <= address && vma.end >= address + length);
          const result = remapMemory(kernel, mm, {
            address, oldLength: length, newLength: length, flags: MREMAP.mayMove | MREMAP.fixed, newAddress: base + to * 4096,
          }); // prettier-ignore
          const mapped = model[first] !== undefined;
          if (mapped) for (let i = 0; i < count; i++) model[to + i] = undefined;
          expect(failed(result)).toBe(whole === undefined);
          if (whole === undefined) break;
          for (let i = 0; i < count; i++) {
            model[to + i] = model[first + i];
            model[first + i] = undefined;
          }
          break;
        }
        default: {
          const value = below(1_000_000);
          const result = run(test, () => storeUser32(kernel, task, address, value));
          const page = model[first];
          expect(failed(result)).toBe(page === undefined || page.prot !== RW);
          if (page?.prot === RW) page.value = value;
        }
      }
      if (step % 50 === 0) {
        pressure(test, below(3));
        for (let i = 0; i < PAGES; i++) {
          const page = model[i];
          const value = run(test, () => loadUser32(kernel, task, base + i * 4096));
          if (page === undefined || page.prot === PROT.none) expect(failed(value)).toBe(true);
          else expect(value).toBe(page.value); // prettier-ignore
        }
        expect(auditMemory(kernel)).toEqual([]);
      }
    }
    for (const other of others) putMm(kernel, other.mm);
    putMm(kernel, mm);
    finishSome(test, Infinity);
    expect(auditMemory(kernel)).toEqual([]);
    expect(kernel.memory.swap.freeSlots).toBe(8 * 256 - 1);
    expect(kernel.memory.committedPages).toBe(0);
  });
});

/** Makes reclaim take most of what is mapped: a passing need for much memory. */
function pressure(test: TestKernel, kind: number): void {
  const { kernel, task } = test;
  if (kind === 0) return;
  const hog = testTask(300, null);
  hog.mm = must(forkMm(kernel, must(task.mm) as Mm)) as Mm;
  const pages = kernel.memory.freePages - kernel.memory.watermarks.min + 200;
  const at = must(
    mapMemory(kernel, hog.mm, { address: 0, length: pages * 4096, protection: RW, flags: ANON }),
  );
  for (let page = 0; page < pages; page++)
    must(run(test, () => storeUser32(kernel, hog, at + page * 4096, 1)));
  putMm(kernel, hog.mm);
  finishSome(test, Infinity);
}
