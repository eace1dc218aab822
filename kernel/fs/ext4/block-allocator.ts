// Allocating and freeing blocks: from a goal on, in runs as long as wanted where there is room, so that files lie in one
// piece. Blocks freed by a transaction that has not committed are not used again: after a crash their old owner has them back.
import { ENOSPC, failed, type Failure } from '../../abi/errno.ts';
import { currentTask } from '../../block/wait.ts';
import { traceAllocate, traceFree } from './events.ts';
import { GROUP_FLAG } from './format.ts';
import { clearBit, initialBlockBitmap, isBlockUninit, isSet, setBit } from './groups.ts';
import { editBlock, editGroup, newBlock, peekBlock, peekGroup, type Handle } from './handle.ts';
import { waitForFreedBlocks } from './journal.ts';
import { corrupted } from './inode-io.ts';
import { blocksInGroup, groupOfBlock, type Group } from './state.ts';

export interface BlockRun {
  readonly first: number;
  readonly count: number;
}

/** A run that is long enough to stop the search in a group. */
const GOOD_RUN = 64;

/** Allocates up to `wanted` blocks in one run, at best at the goal. ENOSPC when there is none; BLOCKED while reading. */
export function allocateBlocks(handle: Handle, goal: number, wanted: number): BlockRun | Failure {
  const { ext4, kernel } = handle;
  const groupCount = ext4.groups.length;
  const start = goal > 0 && goal < ext4.blockCount ? groupOfBlock(ext4, goal) : 0;
  const credentials = currentTask(kernel)?.credentials;
  const reserved = credentials === undefined || credentials.fsuid === 0 ? 0 : ext4.reservedBlocks;
  if (ext4.freeBlocks + handle.freeBlocksDelta <= reserved) return waitForFreedBlocks(kernel, ext4, ENOSPC);
  // First a group with room for the whole run, then any.
  for (const least of wanted > 1 ? [wanted, 1] : [1]) {
    for (let offset = 0; offset < groupCount; offset++) {
      const index = (start + offset) % groupCount;
      const group = peekGroup(handle, index);
      if (
        group === undefined ||
        group.freeBlocks < Math.min(least, blocksInGroup(ext4, index) >> 1) ||
        group.freeBlocks === 0
      )
        continue;
      const run = searchGroup(handle, group, offset === 0 ? goal % ext4.blocksPerGroup : 0, wanted);
      if (failed(run)) return run;
      if (run === null) continue;
      return take(handle, index, run, goal);
    }
  }
  return waitForFreedBlocks(kernel, ext4, ENOSPC);
}

/** The group's bitmap as the handle sees it; a group never used before gets its first one. */
function bitmapOf(handle: Handle, group: Group): Uint8Array | Failure {
  const { ext4 } = handle;
  if (!isBlockUninit(ext4, group)) return peekBlock(handle, group.blockBitmap);
  const bitmap = newBlock(handle, group.blockBitmap);
  if (failed(bitmap)) return bitmap;
  initialBlockBitmap(ext4, group, bitmap, ext4.reservedDescriptors);
  const draft = editGroup(handle, group.index);
  if (failed(draft)) return draft;
  draft.flags &= ~GROUP_FLAG.BLOCK_UNINIT;
  return bitmap;
}

function searchGroup(
  handle: Handle,
  group: Group,
  goalBit: number,
  wanted: number,
): BlockRun | null | Failure {
  const { ext4 } = handle;
  const bitmap = bitmapOf(handle, group);
  if (failed(bitmap)) return bitmap;
  const busy = [
    ext4.journal?.running.freed.get(group.index),
    ext4.journal?.committing?.freed.get(group.index),
  ];
  const own = handle.freed.filter((run) => groupOfBlock(ext4, run.first) === group.index);
  const base = group.index * ext4.blocksPerGroup;
  const isFree = (bit: number): boolean =>
    !isSet(bitmap, bit) && !busy.some((map) => map !== undefined && isSet(map, bit)) &&
    !own.some((run) => base + bit >= run.first && base + bit < run.first + run.count); // prettier-ignore
  const limit = blocksInGroup(ext4, group.index);
  if (isFree(goalBit) && goalBit < limit)
    return { first: goalBit, count: runLength(isFree, goalBit, limit, wanted) };
  let best: BlockRun | null = null;
  const enough = Math.min(wanted, GOOD_RUN);
  for (const [from, to] of [
    [goalBit, limit],
    [0, goalBit],
  ] as const) {
    // prettier-ignore
    for (let bit = from; bit < to; ) {
      if ((bit & 7) === 0 && bitmap[bit >> 3] === 0xff) {
        bit += 8;
        continue;
      }
      if (!isFree(bit)) {
        bit++;
        continue;
      }
      const count = runLength(isFree, bit, to, wanted);
      if (best === null || count > best.count) best = { first: bit, count };
      if (count >= enough) return best;
      bit += count;
    }
  }
  return best;
}

function runLength(isFree: (bit: number) => boolean, first: number, limit: number, wanted: number): number {
  let count = 0;
  while (count < wanted && first + count < limit && isFree(first + count)) count++;
  return count;
}

/** Marks a run of a group as taken; `run.first` is a bit of its bitmap. */
function take(handle: Handle, index: number, run: BlockRun, goal: number): BlockRun | Failure {
  const { ext4 } = handle;
  const draft = editGroup(handle, index);
  if (failed(draft)) return draft;
  const bitmap = editBlock(handle, draft.blockBitmap);
  if (failed(bitmap)) return bitmap;
  for (let bit = run.first; bit < run.first + run.count; bit++) setBit(bitmap, bit);
  draft.freeBlocks -= run.count;
  handle.freeBlocksDelta -= run.count;
  const first = index * ext4.blocksPerGroup + run.first;
  handle.effects.push(() =>
    traceAllocate(handle.kernel, handle.superBlock.deviceNumber, first, run.count, goal),
  );
  return { first, count: run.count };
}

/** Frees a run of blocks, which may reach over groups. They may be used again after the commit. */
export function freeBlocks(handle: Handle, first: number, count: number): number | Failure {
  const { ext4, kernel } = handle;
  if (first <= 0 || first + count > ext4.blockCount)
    return corrupted(kernel, ext4.device, `freeing blocks ${first}-${first + count - 1}`);
  for (let at = first; at < first + count;) {
    const index = groupOfBlock(ext4, at);
    const draft = editGroup(handle, index);
    if (failed(draft)) return draft;
    const bitmap = editBlock(handle, draft.blockBitmap);
    if (failed(bitmap)) return bitmap;
    const end = Math.min(first + count, (index + 1) * ext4.blocksPerGroup);
    for (; at < end; at++) {
      const bit = at % ext4.blocksPerGroup;
      if (!isSet(bitmap, bit)) return corrupted(kernel, ext4.device, `block ${at} is freed twice`);
      clearBit(bitmap, bit);
      draft.freeBlocks++;
      handle.freeBlocksDelta++;
    }
  }
  handle.freed.push({ first, count });
  handle.effects.push(() => traceFree(kernel, handle.superBlock.deviceNumber, first, count));
  return 0;
}
