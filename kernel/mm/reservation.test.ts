// How long the physically contiguous runs are that a process's pages get: what the CPU's extents can cover.
import { describe, expect, it } from 'vitest';
import { MAP, PROT, RLIMIT } from '../abi/mman.ts';
import { PTE } from '../machine/index.ts';
import { auditMemory } from './audit.ts';
import { mapMemory, setBrk, unmapMemory } from './map.ts';
import { forkMm, newMm, putMm } from './mm-life.ts';
import { allocateFrames, freeFrames } from './buddy.ts';
import type { Mm } from './mm.ts';
import { must, retrying, testFile, testKernel, type TestKernel } from './mm.test-kernel.ts';
import { frameOf, visitPtes } from './page-table.ts';
import { loadUser8, storeUser8 } from './user-memory.ts';

const PAGE = 4096;
const MIB = 1 << 20;
const RW = PROT.read | PROT.write;
const ANON = MAP.private | MAP.anonymous;

/** Runs of present pages that follow each other in virtual and in physical memory with equal entries, bits A and D included. */
function runsOf({ kernel, mm }: TestKernel, start: number, end: number): { pages: number; runs: number } {
  let pages = 0;
  let runs = 0;
  let last = { address: -1, frame: -1, bits: -1 };
  visitPtes(kernel, mm, start, end, (_pte, low, address) => {
    if ((low & PTE.present) === 0) return;
    const here = { address, frame: frameOf(low), bits: low & 0xfff };
    pages++;
    const goesOn =
      here.address === last.address + PAGE && here.frame === last.frame + 1 && here.bits === last.bits;
    if (!goesOn) runs++;
    last = here;
  });
  return { pages, runs };
}

function touch(test: TestKernel, start: number, end: number, step = PAGE): void {
  for (let at = start; at < end; at += step) retrying(test, () => storeUser8(test.kernel, test.task, at, 1));
}

describe('contiguous runs', () => {
  it('a 64 MiB area is one run', () => {
    const test = testKernel(128);
    const start = must(
      mapMemory(test.kernel, test.mm, { address: 0, length: 64 * MIB, protection: RW, flags: ANON }),
    );
    touch(test, start, start + 64 * MIB);
    const { pages, runs } = runsOf(test, start, start + 64 * MIB);
    expect(pages).toBe(16_384);
    expect(runs).toBeLessThanOrEqual(2);
    expect(auditMemory(test.kernel)).toEqual([]);
  });
  it('pages that are touched in a wild order lie side by side all the same', () => {
    const test = testKernel(64);
    const start = must(
      mapMemory(test.kernel, test.mm, { address: 0, length: 4 * MIB, protection: RW, flags: ANON }),
    );
    for (let i = 0; i < 1024; i++) storeUser8(test.kernel, test.task, start + ((i * 389) % 1024) * PAGE, 1);
    expect(runsOf(test, start, start + 4 * MIB).runs).toBe(1);
  });
  it('large areas of two processes that fill them in turns are a run each', () => {
    const test = testKernel(128);
    const { kernel } = test;
    const other = { ...test, mm: must(newMm(kernel)) as Mm };
    const starts = [test, other].map(({ mm }) =>
      must(mapMemory(kernel, mm, { address: 0, length: 24 * MIB, protection: RW, flags: ANON })),
    );
    for (let at = 0; at < 24 * MIB; at += PAGE)
      [test, other].forEach(({ mm }, i) =>
        storeUser8(kernel, { ...test.task, mm }, (starts[i] ?? 0) + at, 1),
      );
    [test, other].forEach((one, i) => {
      const start = starts[i] ?? 0;
      expect(runsOf(one, start, start + 24 * MIB).runs).toBe(1);
    });
    expect(auditMemory(kernel)).toEqual([]);
  });
  it('where less memory hangs together than an area wants, it has several runs', () => {
    const test = testKernel(64);
    const { kernel, mm } = test;
    const blocks = Array.from({ length: 12 }, () => must(allocateFrames(kernel, 10, 'kernel')));
    for (const block of blocks.filter((_block, i) => i % 3 !== 1)) freeFrames(kernel, block, 10);
    const start = must(mapMemory(kernel, mm, { address: 0, length: 30 * MIB, protection: RW, flags: ANON }));
    touch(test, start, start + 30 * MIB);
    const { pages, runs } = runsOf(test, start, start + 30 * MIB);
    expect(pages).toBe(7680);
    expect(runs).toBeLessThanOrEqual(8);
    expect(auditMemory(kernel)).toEqual([]);
  });
  it('data, bss and what a library makes read-only are one run', () => {
    const test = testKernel(64);
    const { kernel, mm } = test;
    const space = testFile(6 * PAGE);
    const at = 0x7f12_3456_a000;
    must(mapMemory(kernel, mm, { address: at, length: 6 * PAGE, protection: RW, flags: MAP.private | MAP.fixed, space }));
    retrying(test, () => loadUser8(kernel, test.task, at));
    retrying(test, () => storeUser8(kernel, test.task, at + 6 * PAGE - 1, 0)); // the loader zeroes the rest of the page
    must(mapMemory(kernel, mm, { address: at + 6 * PAGE, length: 13 * PAGE, protection: RW, flags: ANON | MAP.fixed }));
    touch(test, at + 6 * PAGE, at + 19 * PAGE);
    touch(test, at, at + 6 * PAGE);
    expect(runsOf(test, at, at + 19 * PAGE)).toEqual({ pages: 19, runs: 1 });
  }); // prettier-ignore
  it('a heap that grows in small steps has few runs', () => {
    const test = testKernel(64);
    test.mm.startBrk = test.mm.brk = 0x1_0000_3000;
    for (let end = test.mm.brk; end < 0x1_0000_3000 + 16 * MIB; end += 33 * PAGE) {
      const from = test.mm.brk;
      setBrk(test.kernel, test.mm, end + 33 * PAGE);
      touch(test, from, test.mm.brk);
    }
    expect(runsOf(test, test.mm.startBrk, test.mm.brk).runs).toBeLessThanOrEqual(4);
  });
  it('a stack has few runs', () => {
    const test = testKernel(64);
    test.task.process.rlimits[RLIMIT.stack] = { current: 8 * MIB, maximum: 8 * MIB };
    const top = 0x7fff_0000_0000;
    const made = mapMemory(test.kernel, test.mm, {
      address: top - 33 * PAGE, length: 33 * PAGE, protection: RW, flags: ANON | MAP.growsDown | MAP.fixed,
    }); // prettier-ignore
    must(made);
    for (let at = top - PAGE; at >= top - MIB; at -= PAGE) storeUser8(test.kernel, test.task, at, 1);
    const { pages, runs } = runsOf(test, top - MIB, top);
    expect(pages).toBe(256);
    expect(runs).toBeLessThanOrEqual(6);
  });
  it('a mapped file read window by window has one run for what is mapped together', () => {
    const test = testKernel(64);
    const space = testFile(475 * PAGE);
    const start = must(
      mapMemory(test.kernel, test.mm, {
        address: 0, length: 475 * PAGE, protection: PROT.read | PROT.execute, flags: MAP.private, space,
      }),
    ); // prettier-ignore
    for (let i = 0; i < 475; i++) {
      const at = start + ((i * 211) % 475) * PAGE;
      retrying(test, () => loadUser8(test.kernel, test.task, at));
    }
    const { pages, runs } = runsOf(test, start, start + 475 * PAGE);
    expect(pages).toBe(475);
    expect(runs).toBe(1);
    expect(auditMemory(test.kernel)).toEqual([]);
    unmapMemory(test.kernel, test.mm, start, 475 * PAGE);
    expect(auditMemory(test.kernel)).toEqual([]);
  });
  it('kept frames count as free and come back when memory is short', () => {
    const test = testKernel(64);
    const { memory } = test.kernel;
    const free = memory.freePages;
    const start = must(
      mapMemory(test.kernel, test.mm, { address: 0, length: 8 * MIB, protection: RW, flags: ANON }),
    );
    touch(test, start, start + 8 * MIB, 2 * MIB); // one page of each reservation
    expect(memory.keptPages).toBeGreaterThan(1000);
    expect(free - memory.freePages).toBeLessThan(16); // the pages and their tables
    const taken: number[] = [];
    while (memory.freePages > 0) taken.push(must(allocateFrames(test.kernel, 0, 'kernel')));
    expect(memory.keptPages).toBe(0);
    for (const frame of taken) freeFrames(test.kernel, frame, 0);
    expect(auditMemory(test.kernel)).toEqual([]);
  });
  it('come and go with forks without a trace', () => {
    const test = testKernel(64);
    const { kernel, mm } = test;
    const start = must(mapMemory(kernel, mm, { address: 0, length: 2 * MIB, protection: RW, flags: ANON }));
    touch(test, start, start + MIB);
    const before = { free: kernel.memory.freePages, kept: kernel.memory.keptPages };
    for (let i = 0; i < 5; i++) {
      const child = must(forkMm(kernel, mm)) as Mm;
      for (let at = start; at < start + MIB; at += 7 * PAGE)
        storeUser8(kernel, { ...test.task, mm: child }, at, 2);
      expect(auditMemory(kernel)).toEqual([]);
      putMm(kernel, child);
    }
    expect({ free: kernel.memory.freePages, kept: kernel.memory.keptPages }).toEqual(before);
    expect(auditMemory(kernel)).toEqual([]);
  });
});
