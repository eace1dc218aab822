// Address spaces without a file: shared anonymous memory (mmap MAP_SHARED|MAP_ANONYMOUS, the base of SysV segments and
// memfd) and pages that the kernel itself shows to user programs (vDSO, vvar).
import { failed, type Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';
import {
  addressSpaceOperations,
  newAddressSpace,
  type AddressSpace,
  type AddressSpaceOperations,
} from './address-space.ts';
import { allocateFrames } from './buddy.ts';
import { insertPage } from './cache-pages.ts';
import { setOwner } from './owners.ts';
import { OWNER, PG } from './memory-state.ts';
import { finishRead, truncatePages } from './page-cache.ts';
import { zeroFrame } from './physical.ts';

interface SharedHost {
  readonly kind: 'shared-anonymous' | 'kernel-pages';
  sizeBytes: number;
  /** Lives on without maps (SysV segments). */
  kept: boolean;
}

const hostOf = (space: AddressSpace): SharedHost => space.host as SharedHost; // only newSharedSpace and newKernelSpace make these

const sharedOperations: AddressSpaceOperations = {
  swapBacked: true,
  owner: 'shmem',
  readPages(kernel, space, first, frames) {
    for (const [offset, frame] of frames.entries()) {
      zeroFrame(kernel, frame);
      finishRead(kernel, space, first + offset, true);
    }
    return 0;
  },
  writePages: () => 0,
  sizeOf: (_kernel, space) => hostOf(space).sizeBytes,
  unmapped(kernel, space) {
    if (!hostOf(space).kept) releaseShared(kernel, space);
  },
};

addressSpaceOperations['shared-anonymous'] = sharedOperations;
addressSpaceOperations['kernel-pages'] = {
  readPages: () => 0,
  writePages: () => 0,
  sizeOf: (_kernel, space) => hostOf(space).sizeBytes,
};

/** Zeroed memory that several processes can map; its pages can be swapped. `kept`: it lives until releaseShared. */
export function newSharedSpace(sizeBytes: number, kept = false): AddressSpace {
  const host: SharedHost = { kind: 'shared-anonymous', sizeBytes, kept };
  return newAddressSpace('shared-anonymous', host);
}

/** Frees every page. No vma may map it. Its pages are never locked and never written back in place, so it cannot block. */
export function releaseShared(kernel: Kernel, space: AddressSpace): void {
  hostOf(space).kept = false;
  truncatePages(kernel, space, 0);
}

/** Pages of the kernel's own that user programs may map: always present, never reclaimed. Frames: space.pages. */
export function newKernelSpace(kernel: Kernel, pageCount: number): AddressSpace | Failure {
  const host: SharedHost = { kind: 'kernel-pages', sizeBytes: pageCount * 4096, kept: true };
  const space = newAddressSpace('kernel-pages', host);
  for (let index = 0; index < pageCount; index++) {
    const frame = allocateFrames(kernel, 0, 'kernel');
    if (failed(frame)) return frame;
    zeroFrame(kernel, frame);
    insertPage(kernel, space, index, frame, PG.uptodate | PG.fixed);
    setOwner(kernel.memory, frame, 0, OWNER.kernel);
  }
  return space;
}
