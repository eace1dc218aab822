// Reverse mapping: from a frame to the page-table entries that map it. A page of an address space is found through the
// space's mappers and their vmas. An anonymous page names a family – the mms that came from each other by fork without
// exec – and its virtual page number, which is the same in all of them (mremap copies a shared page rather than move it).
import type { Kernel } from '../state.ts';
import { PTE } from '../machine/index.ts';
import { spaceOfFrame } from './cache-pages.ts';
import type { Mm, Vma } from './mm.ts';
import { findPte, frameOf, isMapped, SWAPPED, writePte } from './page-table.ts';
import { loadWord, storeWord } from './physical.ts';
import { PG } from './memory-state.ts';
import { findVma } from './vma.ts';

export interface Mapping {
  readonly mm: Mm;
  readonly vma: Vma;
  readonly address: number;
  /** Physical address of the entry. */
  readonly pte: number;
  readonly low: number;
}

/** The entries that map a frame, in a fixed order. */
export function mappingsOf(kernel: Kernel, frame: number): Mapping[] {
  const { memory } = kernel;
  const found: Mapping[] = [];
  const wanted = memory.mapCount[frame] ?? 0;
  if (wanted === 0) return found;
  const index = memory.index[frame] ?? 0;
  if (((memory.flags[frame] ?? 0) & PG.anon) !== 0) {
    for (const id of memory.families.get(memory.mapping[frame] ?? 0) ?? []) {
      const mm = memory.mms.get(id);
      if (mm === undefined) continue;
      const vma = findVma(mm, index * 4096);
      if (vma !== undefined) addIfMapped(kernel, frame, mm, vma, index * 4096, found);
      if (found.length === wanted) return found;
    }
    return found;
  }
  const space = spaceOfFrame(memory, frame);
  for (const id of space?.mappers.keys() ?? []) {
    const mm = memory.mms.get(id);
    for (const vma of mm?.vmas ?? []) {
      if (mm === undefined || vma.space !== space) continue;
      const address = vma.start + index * 4096 - vma.offset;
      if (address >= vma.start && address < vma.end) addIfMapped(kernel, frame, mm, vma, address, found);
      if (found.length === wanted) return found;
    }
  }
  return found;
}

function addIfMapped(
  kernel: Kernel,
  frame: number,
  mm: Mm,
  vma: Vma,
  address: number,
  found: Mapping[],
): void {
  const pte = findPte(kernel, mm.root, address);
  if (pte === 0) return;
  const low = loadWord(kernel, pte) >>> 0;
  if (isMapped(low) && frameOf(low) === frame) found.push({ mm, vma, address, pte, low });
}

export interface References {
  count: number;
  executable: boolean;
  locked: boolean;
  /** CPUs whose TLBs must be flushed before they run again. */
  cpuMask: number;
}

/** How many entries were used since the last look; their accessed bits are cleared. */
export function takeReferences(kernel: Kernel, frame: number): References {
  const references: References = { count: 0, executable: false, locked: false, cpuMask: 0 };
  for (const { mm, vma, pte, low } of mappingsOf(kernel, frame)) {
    if (vma.flags.locked) references.locked = true;
    if ((low & PTE.accessed) === 0 || (low & PTE.present) === 0) continue;
    storeWord(kernel, pte, (low & ~PTE.accessed) >>> 0);
    references.cpuMask |= mm.cpuMask;
    if (vma.flags.advice === 'sequential') continue;
    references.count++;
    if (vma.flags.execute) references.executable = true;
  }
  return references;
}

/** Which account a mapped page counts in. */
export function rssKind(flags: number): 'anon' | 'file' | 'shmem' {
  if ((flags & PG.anon) !== 0) return 'anon';
  return (flags & PG.swapBacked) !== 0 ? 'shmem' : 'file';
}

/** Counts one more entry that maps the frame. The entry's reference is the caller's. */
export function addMapping(kernel: Kernel, mm: Mm, frame: number): void {
  const { memory } = kernel;
  const kind = rssKind(memory.flags[frame] ?? 0);
  const users = memory.mapCount[frame] ?? 0;
  memory.mapCount[frame] = users + 1;
  if (users === 0) memory.mapped[kind === 'anon' ? 'anon' : 'file']++;
  mm.rss[kind]++;
  const total = mm.rss.anon + mm.rss.file + mm.rss.shmem;
  if (total > mm.peakRssPages) mm.peakRssPages = total;
}

/** Counts one entry less. */
export function dropMapping(kernel: Kernel, mm: Mm, frame: number): void {
  const { memory } = kernel;
  const kind = rssKind(memory.flags[frame] ?? 0);
  const users = (memory.mapCount[frame] ?? 0) - 1;
  memory.mapCount[frame] = users;
  if (users === 0) memory.mapped[kind === 'anon' ? 'anon' : 'file']--;
  mm.rss[kind]--;
}

/** Makes a frame that was just allocated an anonymous page of the mm. */
export function makeAnonymous(kernel: Kernel, mm: Mm, frame: number, address: number): void {
  const { memory } = kernel;
  memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.anon | PG.swapBacked | PG.uptodate;
  memory.mapping[frame] = mm.family;
  memory.index[frame] = Math.floor(address / 4096);
}

/**
 * Takes a frame out of every page table. Anonymous pages leave their swap entry behind; `swapEntry` is -1 for others. Gives
 * whether an entry was dirty. The references that entries held are dropped; the caller holds one.
 */
export function unmapEverywhere(
  kernel: Kernel,
  frame: number,
  swapEntry: number,
): { wasDirty: boolean; cpuMask: number; count: number } {
  const { memory } = kernel;
  let wasDirty = false;
  let cpuMask = 0;
  let count = 0;
  for (const { mm, pte, low } of mappingsOf(kernel, frame)) {
    if ((low & PTE.dirty) !== 0) wasDirty = true;
    if (swapEntry >= 0) writePte(kernel, pte, SWAPPED, swapEntry);
    else writePte(kernel, pte, 0, 0); // prettier-ignore
    dropMapping(kernel, mm, frame);
    if (swapEntry >= 0) mm.rss.swap++;
    memory.refCount[frame] = (memory.refCount[frame] ?? 0) - 1;
    cpuMask |= mm.cpuMask;
    count++;
  }
  if (count > 0) memory.unmapGeneration++;
  return { wasDirty, cpuMask, count };
}

/** Before a page of a file is written: entries lose write and dirty bits, so that the next write faults. True: was dirty. */
export function cleanMappings(kernel: Kernel, frame: number): { wasDirty: boolean; cpuMask: number } {
  let wasDirty = false;
  let cpuMask = 0;
  if ((kernel.memory.mapCount[frame] ?? 0) === 0) return { wasDirty, cpuMask };
  for (const { mm, vma, pte, low } of mappingsOf(kernel, frame)) {
    if (!vma.flags.shared || (low & (PTE.write | PTE.dirty)) === 0) continue;
    if ((low & PTE.dirty) !== 0) wasDirty = true;
    storeWord(kernel, pte, (low & ~(PTE.write | PTE.dirty)) >>> 0);
    cpuMask |= mm.cpuMask;
  }
  return { wasDirty, cpuMask };
}
