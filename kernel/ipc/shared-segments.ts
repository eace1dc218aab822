// SysV shared memory (shmget(2), shmat(2)): segments are address spaces without a file, mapped like any other.
import { EINVAL, ENOSPC, type Failure } from '../abi/errno.ts';
import { addressSpaceOperations, newAddressSpace, type AddressSpace } from '../mm/address-space.ts';
import type { Mm, Vma } from '../mm/mm.ts';
import { truncatePages } from '../mm/page-cache.ts';
import '../mm/shared-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { wallNow } from '../time/clock.ts';
import { getObject } from './sysv.ts';
import type { SharedSegment } from './sysv-state.ts';

const PAGE = 4096;
const MIN_BYTES = 1;

interface SegmentHost {
  readonly kind: 'sysv-segment';
  readonly sizeBytes: number;
}

const shared = addressSpaceOperations['shared-anonymous'];

addressSpaceOperations['sysv-segment'] = {
  swapBacked: true,
  owner: 'shmem',
  readPages: (kernel, space, first, frames) => shared?.readPages(kernel, space, first, frames) ?? 0,
  writePages: () => 0,
  sizeOf: (_kernel, space) => (space.host as SegmentHost).sizeBytes,
  /** The last attachment is gone: a segment that was removed meanwhile goes too. */
  unmapped(kernel, space) {
    const segment = segmentOf(kernel, space);
    if (segment === undefined) return;
    segment.detachNs = wallNow(kernel);
    if (segment.destroyed) dropSegment(kernel, segment);
  },
};

export function segmentOf(kernel: Kernel, space: AddressSpace): SharedSegment | undefined {
  for (const segment of kernel.ipc.sysv.segments.values()) if (segment.space === space) return segment;
  return undefined;
}

/** Pages of all segments, against SHMALL. */
export function segmentPages(kernel: Kernel): number {
  return [...kernel.ipc.sysv.segments.values()].reduce(
    (sum, { sizeBytes }) => sum + Math.ceil(sizeBytes / PAGE),
    0,
  );
}

/** shmget(2). */
export function getSegment(
  kernel: Kernel,
  task: Task,
  key: number,
  sizeBytes: number,
  flags: number,
): number | Failure {
  const { segments, sequences, limits } = kernel.ipc.sysv;
  const fits = (segment: SharedSegment): 0 | Failure => (sizeBytes > segment.sizeBytes ? EINVAL : 0);
  return getObject(task, segments, sequences, 'shm', limits.shmmni, key, flags, fits, (permissions) => {
    if (sizeBytes < MIN_BYTES || sizeBytes > limits.shmmax) return EINVAL;
    if (segmentPages(kernel) + Math.ceil(sizeBytes / PAGE) > limits.shmall) return ENOSPC;
    const host: SegmentHost = { kind: 'sysv-segment', sizeBytes: Math.ceil(sizeBytes / PAGE) * PAGE };
    return {
      permissions, sizeBytes, space: newAddressSpace('sysv-segment', host), attachNs: 0, detachNs: 0,
      changeNs: wallNow(kernel), creatorPid: task.process.pid, lastPid: 0, destroyed: false, locked: false,
    }; // prettier-ignore
  });
}

/** IPC_RMID: at once, or with the last attachment. */
export function removeSegment(kernel: Kernel, segment: SharedSegment): void {
  segment.destroyed = true;
  // The key leads nowhere from now on, as in Linux.
  segment.permissions = { ...segment.permissions, key: 0 };
  if (segment.space.mapCount === 0) dropSegment(kernel, segment);
}

function dropSegment(kernel: Kernel, segment: SharedSegment): void {
  kernel.ipc.sysv.segments.delete(segment.permissions.id);
  truncatePages(kernel, segment.space, 0);
}

/** The attachment that begins at an address (shmdt(2)). Parts of it may have been unmapped. */
export function attachmentAt(
  kernel: Kernel,
  mm: Mm,
  address: number,
): { vma: Vma; segment: SharedSegment } | undefined {
  for (const vma of mm.vmas) {
    if (vma.space === null || vma.start - vma.offset !== address) continue;
    const segment = segmentOf(kernel, vma.space);
    if (segment !== undefined) return { vma, segment };
  }
  return undefined;
}
