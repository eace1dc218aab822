import { describe, expect, it } from 'vitest';
import { EACCES, EEXIST, EFAULT, EINVAL, ENOMEM } from '../abi/errno.ts';
import { MAP, PROT } from '../abi/mman.ts';
import { allocateFrames, freeFrames } from './buddy.ts';
import { auditMemory } from './audit.ts';
import { mapMemory, protectMemory, setBrk, unmapMemory } from './map.ts';
import { forkMm, putMm } from './mm-life.ts';
import type { Mm } from './mm.ts';
import { findPte, frameOf } from './page-table.ts';
import { loadWord } from './physical.ts';
import { slabAllocate, slabFree } from './slab.ts';
import { must, retrying, testFile, testKernel, testTask } from './mm.test-kernel.ts';
import {
  loadUser32,
  readMm,
  readUser,
  readUserString,
  storeUser32,
  writeMm,
  writeUser,
} from './user-memory.ts';

const RW = PROT.read | PROT.write;
const ANON = MAP.private | MAP.anonymous;

describe('buddy system', () => {
  it('splits and merges: everything comes back', () => {
    const { kernel } = testKernel();
    const before = [...kernel.memory.freeBlocks];
    const got: [number, number][] = [];
    for (let i = 0; i < 200; i++) got.push([must(allocateFrames(kernel, i % 5, 'kernel')), i % 5]);
    expect(auditMemory(kernel)).toEqual([]);
    for (const [frame, order] of got.reverse()) freeFrames(kernel, frame, order);
    expect([...kernel.memory.freeBlocks]).toEqual(before);
    expect(auditMemory(kernel)).toEqual([]);
  });
  it('gives ENOMEM at the end and not before', () => {
    const { kernel } = testKernel();
    let pages = 0;
    for (;;) {
      const frame = allocateFrames(kernel, 0, 'kernel');
      if (frame === ENOMEM) break;
      pages++;
    }
    expect(pages).toBe(3072 - 1 - 8);
    expect(kernel.memory.freePages).toBe(0);
  });
});

describe('slab allocator', () => {
  it('gives every slot once and its frames back', () => {
    const { kernel } = testKernel();
    const free = kernel.memory.freePages;
    const slots = new Set<number>();
    for (let i = 0; i < 1000; i++) slots.add(must(slabAllocate(kernel, 'dentry')));
    expect(slots.size).toBe(1000);
    expect(kernel.memory.freePages).toBeLessThan(free - 45);
    for (const slot of slots) slabFree(kernel, 'dentry', slot);
    expect(kernel.memory.freePages).toBeGreaterThanOrEqual(free - 4);
  });
});

describe('maps', () => {
  it.each([
    ['nothing', { address: 0, length: 0, protection: RW, flags: ANON }, EINVAL],
    [
      'a fixed place off a page',
      { address: 0x1234, length: 4096, protection: RW, flags: ANON | MAP.fixed },
      EINVAL,
    ],
    ['an offset off a page', { address: 0, length: 4096, protection: RW, flags: ANON, offset: 12 }, EINVAL],
    ['more than there is', { address: 0, length: 2 ** 47, protection: RW, flags: ANON }, ENOMEM],
    ['more than can be committed', { address: 0, length: 2 ** 36, protection: RW, flags: ANON }, ENOMEM],
  ] as const)('refuses %s', (_case, request, expected) => {
    const { kernel, mm } = testKernel();
    expect(mapMemory(kernel, mm, request)).toBe(expected);
  });

  it('goes top-down, splits, merges and finds the hole again', () => {
    const { kernel, mm } = testKernel();
    const a = must(mapMemory(kernel, mm, { address: 0, length: 0x10000, protection: RW, flags: ANON }));
    const b = must(mapMemory(kernel, mm, { address: 0, length: 0x10000, protection: RW, flags: ANON }));
    expect(b).toBe(a - 0x10000);
    expect(mm.vmas.length).toBe(1);
    expect(unmapMemory(kernel, mm, a, 0x4000)).toBe(0);
    expect(mm.vmas.length).toBe(2);
    expect(mapMemory(kernel, mm, { address: 0, length: 0x4000, protection: RW, flags: ANON })).toBe(a);
    expect(mm.vmas.length).toBe(1);
    expect(protectMemory(kernel, mm, a, 0x1000, PROT.read)).toBe(0);
    expect(mm.vmas.length).toBe(3);
    expect(protectMemory(kernel, mm, a, 0x1000, RW)).toBe(0);
    expect(mm.vmas.length).toBe(1);
    expect(
      mapMemory(kernel, mm, { address: a, length: 0x1000, protection: RW, flags: ANON | MAP.fixedNoReplace }),
    ).toBe(EEXIST);
    expect(protectMemory(kernel, mm, a + 0x20000, 0x1000, RW)).toBe(ENOMEM);
    expect(mm.totalPages).toBe(0x20);
    expect(auditMemory(kernel)).toEqual([]);
  });

  it('grows and shrinks the heap', () => {
    const { kernel, task, mm } = testKernel();
    mm.startBrk = mm.brk = 0x600000;
    expect(setBrk(kernel, mm, 0x600000 + 100_000)).toBe(0x600000 + 100_000);
    expect(storeUser32(kernel, task, 0x600000 + 99_996, 7)).toBe(0);
    expect(setBrk(kernel, mm, 0x600000 + 10)).toBe(0x600000 + 10);
    expect(storeUser32(kernel, task, 0x600000 + 99_996, 7)).toBe(EFAULT);
    expect(setBrk(kernel, mm, 0x5f0000)).toBe(0x600000 + 10);
    expect(mm.vmas[0]?.flags.name).toBe('[heap]');
    expect(auditMemory(kernel)).toEqual([]);
  });

  it('grows a stack down to its limit, never into the guard gap', () => {
    const { kernel, task, mm } = testKernel();
    const top = 0x7fff_0000_0000;
    must(
      mapMemory(kernel, mm, {
        address: top - 0x20000,
        length: 0x20000,
        protection: RW,
        flags: ANON | MAP.fixed | MAP.growsDown,
        name: '[stack]',
      }),
    );
    expect(storeUser32(kernel, task, top - 0x80000, 1)).toBe(0);
    expect(mm.vmas[0]?.start).toBe(top - 0x80000);
    must(
      mapMemory(kernel, mm, {
        address: top - 0x300000,
        length: 0x1000,
        protection: RW,
        flags: ANON | MAP.fixed,
      }),
    );
    expect(storeUser32(kernel, task, top - 0x2e0000, 1)).toBe(EFAULT);
    expect(auditMemory(kernel)).toEqual([]);
  });
});

describe('user memory', () => {
  it('reads what was written, across pages', () => {
    const { kernel, task, mm } = testKernel();
    const at = must(mapMemory(kernel, mm, { address: 0, length: 0x10000, protection: RW, flags: ANON }));
    const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => i * 7);
    expect(writeUser(kernel, task, at + 100, bytes)).toBe(20_000);
    expect(readUser(kernel, task, at + 100, 20_000)).toEqual(bytes);
    expect(storeUser32(kernel, task, at + 4094, 0xdeadbeef)).toBe(0);
    expect(loadUser32(kernel, task, at + 4094)).toBe(0xdeadbeef);
    writeUser(kernel, task, at, Uint8Array.of(104, 105, 0));
    expect(readUserString(kernel, task, at, 100)).toBe('hi');
    expect(mm.rss.anon).toBe(5);
    expect(auditMemory(kernel)).toEqual([]);
  });
  it.each([
    ['nothing mapped', 0x1000, 4],
    ['the kernel half', 0xffff_8000_0000_0000, 4],
    ['a range that leaves the user half', 0x7fff_ffff_e000, 0x4000],
    ['a negative address', -4096, 4],
  ])('gives EFAULT for %s', (_case, address, length) => {
    const { kernel, task } = testKernel();
    expect(readUser(kernel, task, address, length)).toBe(EFAULT);
    expect(writeUser(kernel, task, address, new Uint8Array(length))).toBe(EFAULT);
  });
  it('puts neighbours side by side in RAM', () => {
    const { kernel, task, mm } = testKernel();
    const at = must(
      mapMemory(kernel, mm, { address: 0x4000_0000, length: 0x20_0000, protection: RW, flags: ANON }),
    );
    for (let page = 511; page >= 0; page--) storeUser32(kernel, task, at + page * 4096, page);
    const frames = Array.from({ length: 512 }, (_, page) =>
      frameOf(loadWord(kernel, findPte(kernel, mm.root, at + page * 4096))),
    );
    expect(frames.every((frame, i) => frame === (frames[0] ?? 0) + i)).toBe(true);
    expect(auditMemory(kernel)).toEqual([]);
  });
  it('respects protection', () => {
    const { kernel, task, mm } = testKernel();
    const at = must(mapMemory(kernel, mm, { address: 0, length: 0x2000, protection: RW, flags: ANON }));
    storeUser32(kernel, task, at, 5);
    protectMemory(kernel, mm, at, 0x1000, PROT.read);
    expect(storeUser32(kernel, task, at, 6)).toBe(EFAULT);
    protectMemory(kernel, mm, at, 0x1000, PROT.none);
    expect(loadUser32(kernel, task, at)).toBe(EFAULT);
    protectMemory(kernel, mm, at, 0x1000, RW);
    expect(loadUser32(kernel, task, at)).toBe(5);
    expect(storeUser32(kernel, task, at, 6)).toBe(0);
    expect(auditMemory(kernel)).toEqual([]);
  });
});

describe('fork', () => {
  it('copies on write in both directions and gives the last user the page', () => {
    const { kernel, task, mm } = testKernel();
    const free = kernel.memory.freePages;
    const at = must(mapMemory(kernel, mm, { address: 0, length: 0x4000, protection: RW, flags: ANON }));
    writeUser(kernel, task, at, new Uint8Array(0x4000).fill(1));
    const child = must(forkMm(kernel, mm)) as Mm;
    const childTask = testTask(101, child);
    expect(storeUser32(kernel, childTask, at, 2)).toBe(0);
    expect(loadUser32(kernel, task, at)).toBe(0x01010101);
    expect(storeUser32(kernel, task, at + 4096, 3)).toBe(0);
    expect(loadUser32(kernel, childTask, at + 4096)).toBe(0x01010101);
    expect(auditMemory(kernel)).toEqual([]);
    const reuse = kernel.memory.counters.pgreuse;
    storeUser32(kernel, task, at, 9);
    expect(kernel.memory.counters.pgreuse).toBe(reuse + 1);
    putMm(kernel, child);
    expect(auditMemory(kernel)).toEqual([]);
    putMm(kernel, mm);
    expect(auditMemory(kernel)).toEqual([]);
    expect(kernel.memory.freePages).toBeGreaterThan(free); // the mm's root is back too
    expect(kernel.memory.committedPages).toBe(0);
  });
  it('shares shared memory', () => {
    const { kernel, task, mm } = testKernel();
    const at = must(
      mapMemory(kernel, mm, {
        address: 0,
        length: 0x4000,
        protection: RW,
        flags: MAP.shared | MAP.anonymous,
      }),
    );
    storeUser32(kernel, task, at, 1);
    const child = must(forkMm(kernel, mm)) as Mm;
    const childTask = testTask(101, child);
    storeUser32(kernel, childTask, at, 2);
    storeUser32(kernel, childTask, at + 0x2000, 3);
    expect(loadUser32(kernel, task, at)).toBe(2);
    expect(loadUser32(kernel, task, at + 0x2000)).toBe(3);
    putMm(kernel, child);
    putMm(kernel, mm);
    expect(auditMemory(kernel)).toEqual([]);
    expect(kernel.memory.spaces.size).toBe(0);
  });
});

describe('file maps', () => {
  it('read through the page cache, copy private writes, refuse the space behind the end', () => {
    const test = testKernel();
    const { kernel, task, mm } = test;
    const space = testFile(100 * 4096 + 10);
    const at = must(
      mapMemory(kernel, mm, { address: 0, length: 0x100000, protection: RW, flags: MAP.private, space }),
    );
    expect(retrying(test, () => loadUser32(kernel, task, at + 4096 * 5))).toBe(0x06060606);
    expect(task.majorFaults).toBe(1);
    expect(mm.rss.file).toBe(16);
    expect(retrying(test, () => storeUser32(kernel, task, at, 77))).toBe(0);
    expect(retrying(test, () => loadUser32(kernel, task, at))).toBe(77);
    expect(retrying(test, () => loadUser32(kernel, task, at + 100 * 4096))).toBe(0x65656565);
    expect(loadUser32(kernel, task, at + 101 * 4096)).toBe(EFAULT);
    expect(auditMemory(kernel)).toEqual([]);
    putMm(kernel, mm);
    expect(auditMemory(kernel)).toEqual([]);
  });
  it('force-writes a private copy of code', () => {
    const test = testKernel();
    const { kernel, task, mm } = test;
    const space = testFile(0x10000);
    const at = must(
      mapMemory(kernel, mm, {
        address: 0,
        length: 0x10000,
        protection: PROT.read | PROT.execute,
        flags: MAP.private,
        space,
      }),
    );
    expect(writeMm(kernel, task, mm, at, Uint8Array.of(0xcc))).toBe(EFAULT);
    expect(retrying(test, () => writeMm(kernel, task, mm, at, Uint8Array.of(0xcc), 'force'))).toBe(1);
    expect(readMm(kernel, task, mm, at, 2)).toEqual(Uint8Array.of(0xcc, 1));
    expect(protectMemory(kernel, mm, at, 0x1000, RW)).toBe(0);
    expect(protectMemory(kernel, mm, at + 0x40000, 0x1000, RW)).not.toBe(EACCES);
    expect(auditMemory(kernel)).toEqual([]);
  });
});
