// The journal (jbd2's format and order of writes, Documentation/filesystems/ext4/journal.rst): joining transactions and
// waiting for commits. commit.ts writes them, recovery.ts replays them.
//
// A changed metadata block stays in the buffer cache, pinned and not dirty, until its transaction has committed; only then
// mm may write it to its place. The log keeps it until it is there (checkpoint).
import { EROFS, failed, type ENOSPC, type Failure } from '../../abi/errno.ts';
import { viewBytes } from '../../machine/index.ts';
import { getFrame } from '../../mm/buddy.ts';
import { clearDirty } from '../../mm/cache-pages.ts';
import { currentTask, waitFor } from '../../block/wait.ts';
import { blockWatchers } from '../../block/device-pages.ts';
import type { BlockDevice } from '../../block/state.ts';
import { wakeUp } from '../../sched/wait-queue.ts';
import type { Kernel } from '../../state.ts';
import { now } from '../../time/clock.ts';
import { addTimer, timerActions } from '../../time/timers.ts';
import type { Inode } from '../vfs/inode.ts';
import { superBlockOf } from '../vfs/inode-cache.ts';
import type { SuperBlock } from '../vfs/super-block.ts';
import { BLOCK } from './format.ts';
import { isEmpty, type Journal } from './journal-state.ts';
import { deviceOf, ext4Of, type Ext4 } from './state.ts';

/** jbd2's commit interval. */
export const COMMIT_INTERVAL_NS = 5_000_000_000;
/** Blocks of bookkeeping that a commit adds at most to n blocks of content: descriptors, revokes, the commit block. */
const overheadFor = (blocks: number): number => Math.ceil(blocks / 400) + 4;

export const isJournalThread = (kernel: Kernel): boolean =>
  currentTask(kernel)?.kernelThread?.name === 'jbd2';

/** Log blocks that hold something recovery would need. */
export function usedLog(journal: Journal): number {
  const size = journal.blockCount - journal.firstBlock;
  return (journal.head - journal.tail + size) % size;
}

function freeLog(journal: Journal): number {
  const committing =
    journal.committing === null ? 0 : journal.committing.blocks.size + journal.committing.revoked.size;
  return (
    journal.blockCount - journal.firstBlock - 1 - usedLog(journal) - committing - overheadFor(committing)
  );
}

/** Whether the running transaction takes these blocks as well: 0, or BLOCKED until a commit or a checkpoint has made room. */
export function admit(
  kernel: Kernel,
  ext4: Ext4,
  journal: Journal,
  blocks: Iterable<number>,
  revokes: number,
): number | Failure {
  const { running } = journal;
  let added = Math.ceil(revokes / 400);
  for (const block of blocks) if (!running.blocks.has(block)) added++;
  const total = running.blocks.size + added;
  const most = Math.floor((journal.blockCount - journal.firstBlock) / 4);
  // The journal's own thread must not wait for itself; its part of the log is spared by the quarter rule.
  if (isJournalThread(kernel)) return 0;
  if (isEmpty(running) && journal.committing === null && journal.checkpoint.size === 0) return 0;
  if (total + overheadFor(total) > freeLog(journal)) {
    journal.wantCheckpoint = true;
    wakeUp(kernel, journal.thread);
    return waitFor(kernel, journal.wait, 'jbd2_log_wait_space');
  }
  if (total > most && !isEmpty(running)) return waitForCommit(kernel, ext4, journal, running.sequence);
  if (total > most >> 1) requestCommit(kernel, journal, running.sequence - 1);
  return 0;
}

/** The block belongs to the running transaction from now on. The handle's pin becomes the transaction's. */
export function join(kernel: Kernel, ext4: Ext4, journal: Journal, block: number, frame: number): void {
  const { running, committing } = journal;
  const device = deviceOf(kernel, ext4);
  if (committing?.blocks.has(block) === true && !committing.frozen.has(block) && journal.phase === 'data') {
    committing.frozen.set(block, viewBytes(kernel.machine, frame * BLOCK, BLOCK).slice());
  }
  if (!running.blocks.has(block)) {
    running.blocks.set(block, frame);
    getFrame(kernel, frame);
  }
  clearDirty(kernel.memory, device.space, block, frame);
  start(kernel, ext4, journal);
}

/** The running transaction has begun: it will commit within the interval. */
function start(kernel: Kernel, ext4: Ext4, journal: Journal): void {
  if (journal.running.startedNs >= 0) return;
  journal.running.startedNs = now(kernel);
  armTimer(kernel, ext4, journal);
}

export function armTimer(kernel: Kernel, ext4: Ext4, journal: Journal): void {
  if (journal.timer !== 0) return;
  journal.timer = addTimer(kernel, now(kernel) + COMMIT_INTERVAL_NS, {
    kind: 'jbd2-commit',
    device: ext4.device,
  });
}

timerActions['jbd2-commit'] = (kernel, action) => {
  const journal = findJournal(kernel, String(action['device']));
  if (journal === null) return;
  journal.timer = 0;
  wakeUp(kernel, journal.thread);
};

/** The journal of the file system that is mounted from a device. */
export function findJournal(kernel: Kernel, device: string): Journal | null {
  const superBlock = findMounted(kernel, device);
  return superBlock === undefined ? null : ext4Of(superBlock).journal;
}

export function findMounted(kernel: Kernel, device: string): SuperBlock | undefined {
  for (const superBlock of kernel.vfs.superBlocks.values()) {
    if (superBlock.fs === 'ext4' && superBlock.device === device) return superBlock;
  }
  return undefined;
}

export function requestCommit(kernel: Kernel, journal: Journal, sequence: number): void {
  journal.wanted = Math.max(journal.wanted, sequence);
  wakeUp(kernel, journal.thread);
}

/** 0 once a transaction is durable; BLOCKED until then. */
export function waitForCommit(
  kernel: Kernel,
  ext4: Ext4,
  journal: Journal,
  sequence: number,
): number | Failure {
  if (ext4.aborted) return EROFS;
  if (journal.lastCommitted >= sequence) return 0;
  requestCommit(kernel, journal, sequence);
  return waitFor(kernel, journal.wait, 'jbd2_log_wait_commit');
}

/**
 * Pages are about to be thrown away whose blocks a closed transaction has promised: BLOCKED until it has written them. If
 * they went, a crash before the next commit would bring the file back with what lay on the disk before.
 */
export function waitForOrdered(kernel: Kernel, inode: Inode): number | Failure {
  const ext4 = ext4Of(superBlockOf(kernel, inode));
  const committing = ext4.journal?.committing;
  if (!ext4.journal || !committing?.ordered.has(inode)) return 0;
  return waitForCommit(kernel, ext4, ext4.journal, committing.sequence);
}

/** No free block was found: blocks that were freed come back with the commit or with eviction; else `error`. */
export function waitForFreedBlocks(kernel: Kernel, ext4: Ext4, error: typeof ENOSPC): Failure {
  const { journal } = ext4;
  if (journal === null || isJournalThread(kernel)) return error;
  const isEvictor = currentTask(kernel)?.kernelThread?.name === 'evict';
  for (const inode of isEvictor ? [] : kernel.vfs.doomed) {
    if (inode.fs === 'ext4') return waitFor(kernel, kernel.vfs.doomedDone, 'ext4_evict_inode');
  }
  const pending = journal.running.freedCount > 0 ? journal.running : journal.committing;
  if (pending === null || pending.freedCount === 0) return error;
  const waited = waitForCommit(kernel, ext4, journal, pending.sequence);
  return failed(waited) ? waited : error;
}

function journalOf(kernel: Kernel, device: BlockDevice): Journal | null {
  return device.holder === 'ext4' ? findJournal(kernel, device.name) : null;
}

blockWatchers['jbd2'] = {
  submitted(kernel, device, block) {
    const journal = journalOf(kernel, device);
    const sequence = journal?.checkpoint.get(block);
    if (journal && sequence !== undefined) journal.inPlace.set(block, sequence);
  },
  written(kernel, device, block, ok) {
    const journal = journalOf(kernel, device);
    const sequence = journal?.inPlace.get(block);
    if (!journal || sequence === undefined) return;
    journal.inPlace.delete(block);
    if (ok && journal.checkpoint.get(block) === sequence) dropCheckpoint(journal, block);
  },
};

/** A block's newest committed content is in its place (or no longer needed): its transaction waits for one less. */
export function dropCheckpoint(journal: Journal, block: number): void {
  const sequence = journal.checkpoint.get(block);
  if (sequence === undefined) return;
  journal.checkpoint.delete(block);
  const transaction = journal.committed.find((entry) => entry.sequence === sequence);
  if (transaction !== undefined) transaction.pending--;
}
