// Guest RAM as mm uses it: whole frames and page-table words.
import {
  copyPhysical, fillPhysical, flushTlb, invalidatePage, load32, store32,
} from '../machine/index.ts'; // prettier-ignore
import type { Kernel } from '../state.ts';
import type { Mm } from './mm.ts';

export const FRAME_BYTES = 4096;

export const loadWord = (kernel: Kernel, physical: number): number => load32(kernel.machine, physical);
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

/** Many translations changed. */
export function flushMm(kernel: Kernel, mm: Mm): void {
  flushCpus(kernel, mm.cpuMask);
}

export function flushCpus(kernel: Kernel, cpuMask: number): void {
  for (let mask = cpuMask, cpu = 0; mask !== 0; mask >>>= 1, cpu++) {
    if ((mask & 1) !== 0) flushTlb(kernel.machine, cpu);
  }
}
