// The vDSO's pages: [vvar] and the image behind it, the same for every program; and the wall clock, whose start [vvar] shows.
import { failed, type Failure } from '../abi/errno.ts';
import { NS_PER_SECOND } from '../abi/time.ts';
import { store64, writeBytes } from '../machine/index.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import { newKernelSpace } from '../mm/shared-memory.ts';
import type { Kernel } from '../state.ts';
import { VDSO_BYTES, VVAR_BYTES, buildVdso } from './vdso-image.ts';

const PAGE = 4096;
export const VDSO_MAP_BYTES = VVAR_BYTES + VDSO_BYTES;

/** The pages, made at the first exec. */
export function vdsoSpace(kernel: Kernel): AddressSpace | Failure {
  const made = kernel.process.vdso;
  if (made !== null) return made;
  const space = newKernelSpace(kernel, VDSO_MAP_BYTES / PAGE);
  if (failed(space)) return space;
  kernel.process.vdso = space;
  const image = buildVdso();
  for (let at = 0; at < image.length; at += PAGE) {
    const frame = space.pages.get((VVAR_BYTES + at) / PAGE);
    if (frame !== undefined) writeBytes(kernel.machine, frame * PAGE, image.subarray(at, at + PAGE));
  }
  showWallClock(kernel);
  return space;
}

function showWallClock(kernel: Kernel): void {
  const frame = kernel.process.vdso?.pages.get(0);
  if (frame === undefined) return;
  const { wallBaseNs } = kernel.time;
  const seconds = Math.floor(wallBaseNs / NS_PER_SECOND);
  store64(kernel.machine, frame * PAGE, seconds);
  store64(kernel.machine, frame * PAGE + 8, wallBaseNs - seconds * NS_PER_SECOND);
}

/** Sets CLOCK_REALTIME at power-on, and so the wall clock from now on. */
export function setWallClock(kernel: Kernel, wallBaseNs: number): void {
  kernel.time.wallBaseNs = Math.floor(wallBaseNs / 1000) * 1000;
  showWallClock(kernel);
}
