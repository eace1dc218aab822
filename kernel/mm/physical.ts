// Guest RAM as mm uses it: whole frames and page-table words.
import {
  copyPhysical,
  fillPhysical,
  flushTlb,
  invalidatePage,
  store32,
  viewBytes,
  type Machine,
} from '../machine/index.ts';
import { assert } from '../lib/assert.ts';
import type { Kernel } from '../state.ts';
import type { Mm } from './mm.ts';

export const FRAME_BYTES = 4096;

// All of RAM as words, for reading page tables: made anew when another machine is looked at.
let viewedMachine: Machine | null = null;
let viewedWords: Uint32Array = new Uint32Array(0);

/** RAM as 32-bit words, to be read only: word n is at physical address 4n. */
export function ramWords(kernel: Kernel): Uint32Array {
  if (viewedMachine !== kernel.machine || viewedWords.length === 0) {
    const view = viewBytes(kernel.machine, 0, kernel.memory.frameCount * FRAME_BYTES);
    viewedWords = new Uint32Array(view.buffer, view.byteOffset, view.byteLength >>> 2);
    viewedMachine = kernel.machine;
  }
  return viewedWords;
}

/** The aligned word at a physical address that lies in RAM. */
export function loadWord(kernel: Kernel, physical: number): number {
  const word = ramWords(kernel)[physical >>> 2];
  assert(word !== undefined, 'page tables lie in RAM');
  return word;
}

export const storeWord = (kernel: Kernel, physical: number, value: number): void =>
  store32(kernel.machine, physical, value);

export function zeroFrame(kernel: Kernel, frame: number): void {
  fillPhysical(kernel.machine, frame * FRAME_BYTES, 0, FRAME_BYTES);
}

export function copyFrame(kernel: Kernel, to: number, from: number): void {
  copyPhysical(kernel.machine, to * FRAME_BYTES, from * FRAME_BYTES, FRAME_BYTES);
}

/** One page's translation changed: CPUs that may have cached it forget it. */
export function flushPage(kernel: Kernel, mm: Mm, address: number): void {
  for (let mask = mm.cpuMask, cpu = 0; mask !== 0; mask >>>= 1, cpu++) {
    if ((mask & 1) !== 0) invalidatePage(kernel.machine, cpu, address);
  }
}

/** Linux's tlb_single_page_flush_ceiling: above it one flush of everything is cheaper. */
const MOST_SINGLE_FLUSHES = 33;

/** Translations of pages from `first` up to `last` changed. */
export function flushRange(kernel: Kernel, mm: Mm, first: number, last: number): void {
  if ((last - first) / FRAME_BYTES >= MOST_SINGLE_FLUSHES) {
    flushMm(kernel, mm);
    return;
  }
  for (let address = first; address <= last; address += FRAME_BYTES) flushPage(kernel, mm, address);
}

/** Many translations changed. */
export function flushMm(kernel: Kernel, mm: Mm): void {
  flushCpus(kernel, mm.cpuMask);
}

export function flushCpus(kernel: Kernel, cpuMask: number): void {
  for (let mask = cpuMask, cpu = 0; mask !== 0; mask >>>= 1, cpu++) {
    if ((mask & 1) !== 0) flushTlb(kernel.machine, cpu);
  }
}
