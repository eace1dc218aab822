// Page tables: four levels in guest RAM (SDM 3A 4.5), written with physical stores. RAM ends below 4 GiB, so the low word of
// an entry holds the whole address and the high word only NX (bit 31) – or, in an entry that is not present, a swap entry.
// A table frame's mapCount is the number of its entries in use; an empty table is freed when memory is unmapped.
//
//   present            frame << 12 | flags            PTE.present set
//   no access          frame << 12 | NO_ACCESS        PROT_NONE: the page is there, no access is allowed
//   in swap            SWAPPED | flags, high word: swap entry
import { failed, type Failure } from '../abi/errno.ts';
import { PTE } from '../machine/index.ts';
import type { Kernel } from '../state.ts';
import { allocateFrames, freeFrames } from './buddy.ts';
import type { Mm, Vma } from './mm.ts';
import { loadWord, ramWords, storeWord, zeroFrame } from './physical.ts';

export const NO_ACCESS = 0x100;
export const SWAPPED = 0x200;
/** High word: NX. */
export const NX = 0x8000_0000;
const TABLE = PTE.present | PTE.write | PTE.user;
const LEAF_BYTES = 0x20_0000; // what one last-level table maps

export const isMapped = (low: number): boolean => (low & (PTE.present | NO_ACCESS)) !== 0;
export const frameOf = (low: number): number => low >>> 12;

/** Physical address of the last-level entry for a user address, or 0 when its table is missing. */
export function findPte(kernel: Kernel, root: number, address: number): number {
  const region = Math.floor(address / LEAF_BYTES);
  let entry = loadWord(kernel, root + (region >>> 18) * 8);
  if ((entry & 1) === 0) return 0;
  entry = loadWord(kernel, ((entry & 0xffff_f000) >>> 0) + ((region >>> 9) & 511) * 8);
  if ((entry & 1) === 0) return 0;
  entry = loadWord(kernel, ((entry & 0xffff_f000) >>> 0) + (region & 511) * 8);
  if ((entry & 1) === 0) return 0;
  return ((entry & 0xffff_f000) >>> 0) + ((address - region * LEAF_BYTES) >>> 12) * 8;
}

/** As findPte, but makes missing tables. ENOMEM when there is no frame for one. */
export function makePte(kernel: Kernel, mm: Mm, address: number): number | Failure {
  const region = Math.floor(address / LEAF_BYTES);
  const third = tableIn(kernel, mm, mm.root, region >>> 18);
  if (failed(third)) return third;
  const second = tableIn(kernel, mm, third, (region >>> 9) & 511);
  if (failed(second)) return second;
  const leaf = tableIn(kernel, mm, second, region & 511);
  if (failed(leaf)) return leaf;
  return leaf + ((address - region * LEAF_BYTES) >>> 12) * 8;
}

function tableIn(kernel: Kernel, mm: Mm, table: number, index: number): number | Failure {
  const at = table + index * 8;
  const entry = loadWord(kernel, at);
  if ((entry & 1) !== 0) return (entry & 0xffff_f000) >>> 0;
  const frame = allocateFrames(kernel, 0, 'pageTable');
  if (failed(frame)) return frame;
  zeroFrame(kernel, frame);
  kernel.memory.mapCount[frame] = 0;
  mm.pageTablePages++;
  storeWord(kernel, at, ((frame << 12) | TABLE) >>> 0);
  storeWord(kernel, at + 4, 0);
  countEntries(kernel, table, 1);
  return frame * 4096;
}

/** The number of a table's entries in use changes. */
export function countEntries(kernel: Kernel, table: number, change: number): void {
  const frame = table >>> 12;
  kernel.memory.mapCount[frame] = (kernel.memory.mapCount[frame] ?? 0) + change;
}

/** Writes a last-level entry and keeps its table's count. A low word of 0 empties it. */
export function writePte(kernel: Kernel, pte: number, low: number, high: number): void {
  const wasEmpty = loadWord(kernel, pte) === 0;
  storeWord(kernel, pte, low);
  storeWord(kernel, pte + 4, high);
  if (wasEmpty !== (low === 0)) countEntries(kernel, pte, wasEmpty ? 1 : -1);
}

/** What an entry allows without a fault. 'dirty': it is about to be written, which spares the CPU setting the bit. */
export type EntryAccess = 'read-only' | 'writable' | 'dirty';

/** The low word for a frame under a vma's protection. The accessed bit is set at once, as in Linux's PAGE_READONLY. */
export function entryFor(frame: number, vma: Vma, access: EntryAccess): number {
  const { read, write, execute } = vma.flags;
  if (!read && !write && !execute) return ((frame << 12) | NO_ACCESS | PTE.user) >>> 0;
  const writing =
    access === 'read-only' || !write ? 0 : access === 'dirty' ? PTE.write | PTE.dirty : PTE.write;
  return ((frame << 12) | PTE.present | PTE.user | PTE.accessed | writing) >>> 0;
}

/** The high word under a vma's protection. */
export const highFor = (vma: Vma): number => (vma.flags.execute ? 0 : NX);

/** What one entry maps, by the level of its table: 4 KiB in a last-level table (0), then 2 MiB, 1 GiB, 512 GiB. */
const SPANS: readonly number[] = [4096, LEAF_BYTES, LEAF_BYTES * 512, LEAF_BYTES * 512 * 512];

/**
 * Calls visit for each entry in use from `start` to before `end`, in order, skipping what has no table. The visitor may
 * empty entries; freeEmptyTables then frees tables that became empty.
 */
export function visitPtes(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  visit: (pte: number, low: number, address: number) => void,
): void {
  visitLeaves(kernel, mm.root, 3, 0, start, end, (leaf, base, first, last) => {
    const words = ramWords(kernel);
    let left = kernel.memory.mapCount[leaf >>> 12] ?? 0;
    for (let index = first; index <= last && left > 0; index++) {
      const low = words[(leaf >>> 2) + index * 2] ?? 0;
      if (low === 0) continue;
      left--;
      visit(leaf + index * 8, low, base + index * 4096);
    }
  });
}

/** Calls visit for each last-level table under addresses from `start` to before `end`, with the entries that lie there. */
export function visitTables(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  visit: (leaf: number, base: number, first: number, last: number) => void,
): void {
  visitLeaves(kernel, mm.root, 3, 0, start, end, visit);
}

/** A table's count says how many entries are in use, so the search ends behind the last one. */
function visitLeaves(
  kernel: Kernel,
  table: number,
  level: number,
  base: number,
  start: number,
  end: number,
  visit: (leaf: number, base: number, first: number, last: number) => void,
): void {
  const span = SPANS[level] ?? 4096;
  const first = start <= base ? 0 : Math.floor((start - base) / span);
  const last = Math.min(511, Math.ceil((end - base) / span) - 1);
  if (level === 0) {
    visit(table, base, first, last);
    return;
  }
  const words = ramWords(kernel);
  let left = kernel.memory.mapCount[table >>> 12] ?? 0;
  for (let index = first; index <= last && left > 0; index++) {
    const entry = words[(table >>> 2) + index * 2] ?? 0;
    if ((entry & PTE.present) === 0) continue;
    left--;
    visitLeaves(kernel, (entry & 0xffff_f000) >>> 0, level - 1, base + index * span, start, end, visit);
  }
}

/** Frees tables that are empty and lie under addresses from `start` to before `end`. True when any was freed. */
export function freeEmptyTables(kernel: Kernel, mm: Mm, start: number, end: number): boolean {
  return freeEmptyIn(kernel, mm, mm.root, 3, 0, start, end);
}

function freeEmptyIn(
  kernel: Kernel,
  mm: Mm,
  table: number,
  level: number,
  base: number,
  start: number,
  end: number,
): boolean {
  const span = SPANS[level] ?? 4096;
  const first = Math.max(0, Math.floor((start - base) / span));
  const last = Math.min(511, Math.floor((end - 1 - base) / span));
  const words = ramWords(kernel);
  const firstWord = table >>> 2;
  let left = kernel.memory.mapCount[table / 4096] ?? 0;
  let freed = false;
  for (let index = first; index <= last && left > 0; index++) {
    const entry = words[firstWord + index * 2] ?? 0;
    if ((entry & 1) === 0) continue;
    left--;
    const at = table + index * 8;
    const frame = entry >>> 12;
    if (level > 1 && freeEmptyIn(kernel, mm, frame * 4096, level - 1, base + index * span, start, end))
      freed = true;
    if (kernel.memory.mapCount[frame] !== 0) continue;
    storeWord(kernel, at, 0);
    countEntries(kernel, table, -1);
    freeFrames(kernel, frame, 0);
    mm.pageTablePages--;
    freed = true;
  }
  return freed;
}

/** A new, empty top-level table; the user half is its lower 256 entries, the kernel half stays empty. */
export function newRoot(kernel: Kernel): number | Failure {
  const frame = allocateFrames(kernel, 0, 'pageTable');
  if (failed(frame)) return frame;
  zeroFrame(kernel, frame);
  kernel.memory.mapCount[frame] = 0;
  return frame * 4096;
}
