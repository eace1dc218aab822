// The sorted list of vmas of an mm: finding, inserting, splitting, merging, and the accounts that follow from it.
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { PAGE_BYTES } from '../abi/mman.ts';
import type { Kernel } from '../state.ts';
import { addressSpaceOperations, type AddressSpace } from './address-space.ts';
import { registerSpace, unregisterIfIdle } from './cache-pages.ts';
import type { Mm, Vma, VmaFlags } from './mm.ts';

/** How vmas hold and drop their files, and an mm the program that it runs; syscalls/memory.ts puts what fs/vfs has here. */
export const fileReferences: {
  get(kernel: Kernel, file: OpenFile): void;
  put(kernel: Kernel, file: OpenFile): void;
  denyWrite(file: OpenFile): void;
  allowWrite(file: OpenFile): void;
} = {
  get: (_kernel, file) => {
    file.users++;
  },
  put: (_kernel, file) => {
    file.users--;
  },
  denyWrite: () => undefined,
  allowWrite: () => undefined,
};

/** Position of the first vma that ends above the address: the one that holds it, or the next one. */
export function vmaIndex(mm: Mm, address: number): number {
  const { vmas } = mm;
  let low = 0;
  let high = vmas.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((vmas[middle]?.end ?? 0) > address) high = middle;
    else low = middle + 1; // prettier-ignore
  }
  return low;
}

/** The vma that holds the address. */
export function findVma(mm: Mm, address: number): Vma | undefined {
  const vma = mm.vmas[vmaIndex(mm, address)];
  return vma !== undefined && vma.start <= address ? vma : undefined;
}

/** Whether any vma lies in the range. */
export function hasVmaIn(mm: Mm, start: number, end: number): boolean {
  const vma = mm.vmas[vmaIndex(mm, start)];
  return vma !== undefined && vma.start < end;
}

const pagesOf = (vma: Vma): number => (vma.end - vma.start) / PAGE_BYTES;

/** Adds (1) or takes away (-1) a vma in the mm's accounts. */
export function accountVma(mm: Mm, vma: Vma, sign: 1 | -1): void {
  const pages = sign * pagesOf(vma);
  mm.totalPages += pages;
  if (mm.totalPages > mm.peakVmPages) mm.peakVmPages = mm.totalPages;
  if (vma.flags.locked) mm.lockedPages += pages;
  if (vma.flags.growsDown) mm.stackPages += pages;
  else if (isDataVma(vma.flags)) mm.dataPages += pages; // prettier-ignore
  else if (vma.flags.execute && !vma.flags.write) mm.execPages += pages; // prettier-ignore
}

/** Counts against RLIMIT_DATA: private and writable, not a stack. */
export const isDataVma = (flags: VmaFlags): boolean => flags.write && !flags.shared && !flags.growsDown;

/** Puts a vma on the list. It takes over the caller's reference to the file. */
export function insertVma(kernel: Kernel, mm: Mm, vma: Vma): void {
  mm.vmas.splice(vmaIndex(mm, vma.start), 0, vma);
  accountVma(mm, vma, 1);
  if (vma.space !== null) linkSpace(kernel, mm, vma.space);
}

/** Takes a vma off the list and drops what it holds. Its pages must be unmapped already. */
export function removeVma(kernel: Kernel, mm: Mm, vma: Vma): void {
  mm.vmas.splice(mm.vmas.indexOf(vma), 1);
  accountVma(mm, vma, -1);
  releaseVma(kernel, mm, vma);
}

/** Drops the references of a vma that is on no list any more. */
export function releaseVma(kernel: Kernel, mm: Mm, vma: Vma): void {
  if (vma.space !== null) unlinkSpace(kernel, mm, vma.space);
  if (vma.file !== null) fileReferences.put(kernel, vma.file);
}

export function linkSpace(kernel: Kernel, mm: Mm, space: AddressSpace): void {
  registerSpace(kernel.memory, space);
  space.mapCount++;
  space.mappers.set(mm.id, (space.mappers.get(mm.id) ?? 0) + 1);
}

function unlinkSpace(kernel: Kernel, mm: Mm, space: AddressSpace): void {
  space.mapCount--;
  const left = (space.mappers.get(mm.id) ?? 0) - 1;
  if (left > 0) space.mappers.set(mm.id, left);
  else space.mappers.delete(mm.id); // prettier-ignore
  if (space.mapCount === 0) addressSpaceOperations[space.operations]?.unmapped?.(kernel, space);
  unregisterIfIdle(kernel.memory, space);
}

/** Splits the vma at an address inside it; the vma keeps the lower part, the upper part is given. */
export function splitVma(kernel: Kernel, mm: Mm, vma: Vma, address: number): Vma {
  const upper: Vma = { ...vma, start: address, flags: { ...vma.flags } };
  if (vma.space !== null || vma.file !== null) upper.offset = vma.offset + (address - vma.start);
  vma.end = address;
  if (upper.file !== null) fileReferences.get(kernel, upper.file);
  if (upper.space !== null) linkSpace(kernel, mm, upper.space);
  mm.vmas.splice(mm.vmas.indexOf(vma) + 1, 0, upper);
  return upper;
}

/** Splits so that vmas begin and end at the range's borders, and gives those inside. */
export function isolateRange(kernel: Kernel, mm: Mm, start: number, end: number): Vma[] {
  const found: Vma[] = [];
  for (let index = vmaIndex(mm, start); ; index++) {
    let vma = mm.vmas[index];
    if (vma === undefined || vma.start >= end) return found;
    if (vma.start < start) {
      vma = splitVma(kernel, mm, vma, start);
      index++;
    }
    if (vma.end > end) splitVma(kernel, mm, vma, end);
    found.push(vma);
  }
}

/** Joins the vmas that touch the range with their neighbours where they are alike. */
export function mergeAround(kernel: Kernel, mm: Mm, start: number, end: number): void {
  let index = Math.max(0, vmaIndex(mm, start - 1));
  for (;;) {
    const vma = mm.vmas[index];
    const next = mm.vmas[index + 1];
    if (vma === undefined || next === undefined || vma.start > end) return;
    if (!canMerge(vma, next)) {
      index++;
      continue;
    }
    vma.end = next.end;
    vma.hasAnon ||= next.hasAnon;
    mm.vmas.splice(index + 1, 1);
    releaseVma(kernel, mm, next);
  }
}

function canMerge(a: Vma, b: Vma): boolean {
  if (a.end !== b.start || a.file !== b.file || a.space !== b.space) return false;
  if ((a.space !== null || a.file !== null) && a.offset + (a.end - a.start) !== b.offset) return false;
  return sameFlags(a.flags, b.flags);
}

export function sameFlags(a: VmaFlags, b: VmaFlags): boolean {
  return (
    a.read === b.read && a.write === b.write && a.execute === b.execute && a.shared === b.shared &&
    a.growsDown === b.growsDown && a.locked === b.locked && a.dontFork === b.dontFork && a.name === b.name &&
    a.mayRead === b.mayRead && a.mayWrite === b.mayWrite && a.mayExecute === b.mayExecute && a.accounted === b.accounted &&
    a.noReserve === b.noReserve && a.dontDump === b.dontDump && a.wipeOnFork === b.wipeOnFork && a.advice === b.advice
  ); // prettier-ignore
}
