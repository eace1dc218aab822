// Checks that mm's books balance: every frame is free, kept, or held exactly as often as its count says; lists, counters
// and page tables agree. Tests call it after every few steps; it gives what it found wrong.
import { USER_END } from '../abi/mman.ts';
import type { Kernel } from '../state.ts';
import { freeList } from './frame-lists.ts';
import { LRU_COUNT, MAX_ORDER, OWNER, PG } from './memory-state.ts';
import { frameOf, isMapped, SWAPPED, visitPtes } from './page-table.ts';
import { loadWord } from './physical.ts';
import { rssKind } from './rmap.ts';
import { findVma } from './vma.ts';

export function auditMemory(kernel: Kernel): string[] {
  const { memory } = kernel;
  const wrong: string[] = [];
  const { frameCount, flags, refCount, mapCount } = memory;
  const seen = new Uint8Array(frameCount); // 1 free, 2 kept
  let free = 0;
  for (let order = 0; order <= MAX_ORDER; order++) {
    let blocks = 0;
    const head = frameCount + freeList(order);
    for (let frame = memory.next[head] ?? head; frame !== head; frame = memory.next[frame] ?? head) {
      blocks++;
      if (((flags[frame] ?? 0) & PG.buddy) === 0 || memory.order[frame] !== order)
        wrong.push(`free block ${frame} has no mark of order ${order}`);
      for (let f = frame; f < frame + (1 << order); f++) {
        if (seen[f] !== 0) wrong.push(`frame ${f} is free twice`);
        if (refCount[f] !== 0) wrong.push(`free frame ${f} has ${refCount[f]} references`);
        seen[f] = 1;
        free++;
      }
    }
    if (blocks !== memory.freeBlocks[order])
      wrong.push(`order ${order}: ${blocks} blocks, counted ${memory.freeBlocks[order]}`);
  }
  let kept = 0;
  for (let frame = 0; frame < frameCount; frame++) {
    if (((flags[frame] ?? 0) & PG.reservation) === 0) continue;
    kept++;
    if (seen[frame] !== 0) wrong.push(`kept frame ${frame} is free too`);
    seen[frame] = 2;
  }
  if (kept !== memory.keptPages) wrong.push(`${kept} kept frames, counted ${memory.keptPages}`);
  if (free + kept !== memory.freePages)
    wrong.push(`${free} free + ${kept} kept frames, counted ${memory.freePages}`);

  const mapped = new Int32Array(frameCount);
  const expected = new Int32Array(frameCount);
  const swapUsers = new Map<number, number>();
  for (const mm of memory.mms.values()) {
    const rss = { anon: 0, file: 0, shmem: 0, swap: 0 };
    visitPtes(kernel, mm, 0, USER_END, (pte, low, address) => {
      if (findVma(mm, address) === undefined)
        wrong.push(`mm ${mm.id}: entry at ${address.toString(16)} without vma`);
      if ((low & SWAPPED) !== 0) {
        rss.swap++;
        const entry = loadWord(kernel, pte + 4) >>> 0;
        swapUsers.set(entry, (swapUsers.get(entry) ?? 0) + 1);
      } else if (isMapped(low)) {
        const frame = frameOf(low);
        mapped[frame] = (mapped[frame] ?? 0) + 1;
        rss[rssKind(flags[frame] ?? 0)]++;
      }
    });
    for (const kind of ['anon', 'file', 'shmem', 'swap'] as const) {
      if (rss[kind] !== mm.rss[kind])
        wrong.push(`mm ${mm.id}: rss ${kind} is ${rss[kind]}, counted ${mm.rss[kind]}`);
    }
    let pages = 0;
    let before = 0;
    for (const vma of mm.vmas) {
      if (vma.start < before || vma.end <= vma.start)
        wrong.push(`mm ${mm.id}: vmas overlap at ${vma.start.toString(16)}`);
      before = vma.end;
      pages += (vma.end - vma.start) / 4096;
    }
    if (pages !== mm.totalPages) wrong.push(`mm ${mm.id}: ${pages} pages in vmas, counted ${mm.totalPages}`);
    countTables(kernel, mm.root / 4096, 3, expected, wrong);
  }
  for (const space of memory.spaces.values()) {
    for (const [index, frame] of space.pages) {
      expected[frame] = (expected[frame] ?? 0) + 1;
      if (memory.mapping[frame] !== space.id || memory.index[frame] !== index)
        wrong.push(`frame ${frame} does not name its space`);
      if ((((flags[frame] ?? 0) & PG.dirty) !== 0) !== space.dirty.has(index) && space.dirty.has(index))
        wrong.push(`page ${index} is dirty in one place only`);
    }
    for (const entry of space.swapped.values()) swapUsers.set(entry, (swapUsers.get(entry) ?? 0) + 1);
  }
  for (const [entry, frame] of memory.swap.cache) {
    expected[frame] = (expected[frame] ?? 0) + 1;
    if (memory.swapEntry[frame] !== entry + 1) wrong.push(`frame ${frame} does not name swap entry ${entry}`);
  }
  for (let frame = memory.reservedFrames; frame < frameCount; frame++) {
    if (seen[frame] !== 0) continue;
    const owner = memory.owner[frame];
    const isPage =
      owner === OWNER.anon || owner === OWNER.file || owner === OWNER.shmem || owner === OWNER.buffers;
    if (owner === OWNER.pageTable) {
      if (expected[frame] !== 1) wrong.push(`page table ${frame} belongs to no mm`);
      continue;
    }
    if (mapped[frame] !== mapCount[frame])
      wrong.push(`frame ${frame} is mapped ${mapped[frame]} times, counted ${mapCount[frame]}`);
    if (isPage && (expected[frame] ?? 0) + (mapped[frame] ?? 0) !== refCount[frame]) {
      wrong.push(
        `frame ${frame} (${owner}) has ${refCount[frame]} references, ${expected[frame]} + ${mapped[frame]} known`,
      );
    }
  }
  auditOwners(kernel, wrong);
  auditLru(kernel, seen, wrong);
  auditSwap(kernel, swapUsers, wrong);
  return wrong;
}

function countTables(
  kernel: Kernel,
  frame: number,
  level: number,
  expected: Int32Array,
  wrong: string[],
): void {
  expected[frame] = (expected[frame] ?? 0) + 1;
  let used = 0;
  for (let index = 0; index < 512; index++) {
    const low = loadWord(kernel, frame * 4096 + index * 8) >>> 0;
    if (low === 0) continue;
    used++;
    if (level > 0) countTables(kernel, low >>> 12, level - 1, expected, wrong);
  }
  if (used !== kernel.memory.mapCount[frame])
    wrong.push(`table ${frame}: ${used} entries, counted ${kernel.memory.mapCount[frame]}`);
}

/** The counts that are kept agree with the frames. */
function auditOwners(kernel: Kernel, wrong: string[]): void {
  const { frameCount, owner, ownerPages, mapCount, flags, mapped } = kernel.memory;
  const pages = new Int32Array(ownerPages.length);
  let anon = 0;
  let file = 0;
  for (let frame = 0; frame < frameCount; frame++) {
    const whose = owner[frame] ?? 0;
    pages[whose] = (pages[whose] ?? 0) + 1;
    if (whose === OWNER.pageTable || (mapCount[frame] ?? 0) === 0) continue;
    if (((flags[frame] ?? 0) & PG.anon) !== 0) anon++;
    else file++; // prettier-ignore
  }
  for (const [whose, count] of pages.entries())
    if (count !== ownerPages[whose])
      wrong.push(`owner ${whose} has ${count} frames, counted ${ownerPages[whose]}`);
  if (anon !== mapped.anon) wrong.push(`${anon} anonymous frames are mapped, counted ${mapped.anon}`);
  if (file !== mapped.file) wrong.push(`${file} file frames are mapped, counted ${mapped.file}`);
}

function auditLru(kernel: Kernel, seen: Uint8Array, wrong: string[]): void {
  const { memory } = kernel;
  for (let list = 0; list < LRU_COUNT; list++) {
    let count = 0;
    const head = memory.frameCount + list;
    for (let frame = memory.next[head] ?? head; frame !== head; frame = memory.next[frame] ?? head) {
      count++;
      if (seen[frame] !== 0 || ((memory.flags[frame] ?? 0) & PG.lru) === 0)
        wrong.push(`frame ${frame} is on LRU list ${list} wrongly`);
      if (count > memory.frameCount) break;
    }
    if (count !== memory.lruPages[list])
      wrong.push(`LRU list ${list}: ${count} pages, counted ${memory.lruPages[list]}`);
  }
}

function auditSwap(kernel: Kernel, swapUsers: ReadonlyMap<number, number>, wrong: string[]): void {
  const { swap } = kernel.memory;
  let free = 0;
  for (const area of swap.areas) {
    if (area === null) continue;
    let used = 0;
    for (let slot = 1; slot < area.slots; slot++) {
      const value = area.map[slot] ?? 0;
      if (value === 0) free++;
      else used++;
      if (value === 0xffff) continue;
      const entry = area.index * 0x400_0000 + slot;
      if ((value & 0x3fff) !== (swapUsers.get(entry) ?? 0))
        wrong.push(`swap slot ${slot}: counted ${value & 0x3fff}, named ${swapUsers.get(entry) ?? 0} times`);
      if (((value & 0x4000) !== 0) !== swap.cache.has(entry))
        wrong.push(`swap slot ${slot} disagrees with the swap cache`);
    }
    if (used !== area.used) wrong.push(`swap area ${area.index}: ${used} slots used, counted ${area.used}`);
  }
  if (free !== swap.freeSlots && swap.areas.every((area) => area === null || area.writable))
    wrong.push(`${free} free swap slots, counted ${swap.freeSlots}`);
}
