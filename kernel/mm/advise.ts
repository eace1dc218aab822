// madvise, and which pages of a range are in memory (mincore).
import { EACCES, EFAULT, EINVAL, ENOMEM, failed, type Failure } from '../abi/errno.ts';
import { MADV, PAGE_BYTES, pageCeil } from '../abi/mman.ts';
import type { Kernel } from '../state.ts';
import { isSwapBacked } from './cache-pages.ts';
import { moveOnLru } from './lru.ts';
import { PG } from './memory-state.ts';
import type { Mm, Vma } from './mm.ts';
import { findPage, readPage, truncatePages } from './page-cache.ts';
import { findPte, frameOf, isMapped, visitPtes } from './page-table.ts';
import { loadWord } from './physical.ts';
import { populateOrBlock } from './populate.ts';
import { isolateRange, mergeAround, vmaIndex } from './vma.ts';
import { zapRange } from './zap.ts';

const KNOWN: ReadonlySet<number> = new Set(Object.values(MADV));

/** Changes of a vma's flags. */
const flagAdvice: Readonly<Record<number, (vma: Vma) => number | Failure>> = {
  [MADV.normal]: (vma) => setAdvice(vma, ''),
  [MADV.random]: (vma) => setAdvice(vma, 'random'),
  [MADV.sequential]: (vma) => setAdvice(vma, 'sequential'),
  [MADV.dontFork]: (vma) => set(vma, 'dontFork', true),
  [MADV.doFork]: (vma) => set(vma, 'dontFork', false),
  [MADV.dontDump]: (vma) => set(vma, 'dontDump', true),
  [MADV.doDump]: (vma) => set(vma, 'dontDump', false),
  [MADV.wipeOnFork]: (vma) =>
    vma.space !== null || vma.flags.shared ? EINVAL : set(vma, 'wipeOnFork', true),
  [MADV.keepOnFork]: (vma) => set(vma, 'wipeOnFork', false),
};

function setAdvice(vma: Vma, advice: Vma['flags']['advice']): number {
  vma.flags.advice = advice;
  return 0;
}

function set(vma: Vma, flag: 'dontFork' | 'dontDump' | 'wipeOnFork', value: boolean): number {
  vma.flags[flag] = value;
  return 0;
}

/** Holes in the range give ENOMEM, after everything else was done. */
export function adviseMemory(
  kernel: Kernel,
  mm: Mm,
  address: number,
  length: number,
  advice: number,
): number | Failure {
  if (!KNOWN.has(advice)) return EINVAL;
  if (address % PAGE_BYTES !== 0) return EINVAL;
  const end = address + pageCeil(length);
  if (end < address || (length > 0 && end === address)) return EINVAL;
  if (end === address) return 0;
  if (advice === MADV.populateRead || advice === MADV.populateWrite) {
    const result = populateOrBlock(kernel, mm, address, end, advice === MADV.populateRead ? 'read' : 'write');
    return failed(result) && result === EACCES ? EINVAL : result === EFAULT ? ENOMEM : result;
  }
  let hasHole = false;
  for (let at = address, index = vmaIndex(mm, address); at < end;) {
    const vma = mm.vmas[index];
    if (vma === undefined || vma.start >= end) {
      hasHole = true;
      break;
    }
    if (vma.start > at) hasHole = true;
    const from = Math.max(at, vma.start);
    const upTo = Math.min(end, vma.end);
    const result = adviseVma(kernel, mm, vma, from, upTo, advice);
    if (failed(result)) return result;
    at = upTo;
    index = vmaIndex(mm, at);
  }
  return hasHole ? ENOMEM : 0;
}

function adviseVma(
  kernel: Kernel,
  mm: Mm,
  vma: Vma,
  start: number,
  end: number,
  advice: number,
): number | Failure {
  const change = flagAdvice[advice];
  if (change !== undefined) {
    for (const part of isolateRange(kernel, mm, start, end)) {
      const result = change(part);
      if (failed(result)) return result;
    }
    mergeAround(kernel, mm, start, end);
    return 0;
  }
  switch (advice) {
    case MADV.dontNeed:
    case MADV.dontNeedLocked:
      if (vma.flags.locked && advice === MADV.dontNeed) return EINVAL;
      zapRange(kernel, mm, start, end);
      return 0;
    case MADV.free:
      // Linux frees lazily; whoever reads before writing may see old data or zeros, so zeros at once are right too.
      if (vma.space !== null || vma.flags.shared) return EINVAL;
      zapRange(kernel, mm, start, end);
      return 0;
    case MADV.remove:
      if (vma.flags.locked || vma.space === null || !isSwapBacked(vma.space)) return EINVAL;
      if (!vma.flags.shared || !vma.flags.write) return EACCES;
      return truncatePages(kernel, vma.space, indexIn(vma, start), indexIn(vma, end));
    case MADV.willNeed:
      return willNeed(kernel, vma, start, end);
    case MADV.cold:
    case MADV.pageOut:
      deactivate(kernel, mm, start, end);
      return 0;
    default:
      return 0; // huge pages and merging: there is nothing to do, as on a kernel that never finds a chance to
  }
}

const indexIn = (vma: Vma, address: number): number => (vma.offset + address - vma.start) / PAGE_BYTES;

function willNeed(kernel: Kernel, vma: Vma, start: number, end: number): number | Failure {
  const { space } = vma;
  if (space === null) return 0;
  if (isSwapBacked(space)) return 0;
  const step = kernel.memory.tunables.readAheadKbytes >> 2;
  for (let index = indexIn(vma, start); index < indexIn(vma, end); index += step) {
    if (findPage(kernel, space, index) >= 0) continue;
    const frame = readPage(kernel, space, index, 'around');
    if (failed(frame)) return frame;
  }
  return 0;
}

/** The pages become the next that reclaim looks at. */
function deactivate(kernel: Kernel, mm: Mm, start: number, end: number): void {
  const { memory } = kernel;
  visitPtes(kernel, mm, start, end, (_pte, low) => {
    const frame = frameOf(low);
    if (!isMapped(low) || memory.mapCount[frame] !== 1) return;
    moveOnLru(memory, frame, 0, PG.active | PG.referenced);
    memory.counters.pgdeactivate++;
  });
}

/** One byte a page: 1 where a touch would not wait for a disk. ENOMEM for holes. */
export function residentPages(kernel: Kernel, mm: Mm, address: number, length: number): Uint8Array | Failure {
  if (address % PAGE_BYTES !== 0) return EINVAL;
  const pages = Math.ceil(length / PAGE_BYTES);
  const bytes = new Uint8Array(pages);
  for (let page = 0; page < pages; page++) {
    const at = address + page * PAGE_BYTES;
    const vma = mm.vmas[vmaIndex(mm, at)];
    if (vma === undefined || vma.start > at) return ENOMEM;
    const pte = findPte(kernel, mm.root, at);
    if (pte !== 0 && isMapped(loadWord(kernel, pte))) bytes[page] = 1;
    else if (vma.space !== null && findPage(kernel, vma.space, indexIn(vma, at)) >= 0) bytes[page] = 1;
  }
  return bytes;
}
