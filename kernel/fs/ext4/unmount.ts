// sync(2), unmounting and changing between read-only and read-write. Unmounting leaves the disk clean: everything in its
// place, nothing in the log, the flag "needs recovery" gone. As in mount.ts every step may give BLOCKED.
import { BLOCKED, EIO, EROFS, failed, type Failure } from '../../abi/errno.ts';
import { currentTask, waitFor } from '../../block/wait.ts';
import { dropPages } from '../../mm/page-cache.ts';
import { writeBackSpace } from '../../mm/write-back.ts';
import { callData } from '../../sched/call-progress.ts';
import { wakeUp } from '../../sched/wait-queue.ts';
import type { Kernel } from '../../state.ts';
import type { SuperBlock } from '../vfs/super-block.ts';
import { logToDisk } from './commit.ts';
import { COMPAT } from './format.ts';
import { putTail } from './journal-format.ts';
import { isEmpty, type Journal } from './journal-state.ts';
import { change, readJournal, startThreads, startWriting, syncDevice, type Mounting } from './mount.ts';
import { deviceOf, ext4Of } from './state.ts';
import { encodeSuperblock } from './superblock.ts';

/** Writes the pages of every file. BLOCKED until they are on the device. */
function writeFiles(kernel: Kernel, superBlock: SuperBlock): number | Failure {
  const dirty = [...superBlock.inodes.values()].filter(
    (inode) => inode.pages !== null && inode.pages.dirty.size + inode.pages.writeback.size > 0,
  );
  for (const inode of dirty) {
    const started = inode.pages === null ? 0 : writeBackSpace(kernel, inode.pages, { wait: false });
    if (started === BLOCKED) return started;
  }
  for (const inode of dirty) {
    const { pages } = inode;
    if (pages === null) continue;
    const written = writeBackSpace(kernel, pages, { wait: true });
    if (written === BLOCKED) return written;
    if (failed(written)) pages.error = EIO; // fsync(2) of that file tells
  }
  return 0;
}

/** Waits until no inode of the file system is left to be freed. */
function waitForEvictions(kernel: Kernel, superBlock: SuperBlock): number | Failure {
  if (currentTask(kernel)?.kernelThread?.name === 'evict') return 0;
  for (const inode of kernel.vfs.doomed) {
    if (inode.superBlock === superBlock.id) return waitFor(kernel, kernel.vfs.doomedDone, 'ext4_evict_inode');
  }
  return 0;
}

/** sync(2): data, metadata, and everything in its place, so that the disk is whole even without its journal. */
export function syncExt4(kernel: Kernel, superBlock: SuperBlock): number | Failure {
  const ext4 = ext4Of(superBlock);
  const { journal } = ext4;
  if (journal === null) return 0;
  const written = writeFiles(kernel, superBlock);
  if (failed(written)) return written;
  const evicted = waitForEvictions(kernel, superBlock);
  if (failed(evicted)) return evicted;
  if (ext4.aborted) return EROFS;
  const task = currentTask(kernel);
  const isClean = (): boolean =>
    isEmpty(journal.running) &&
    journal.committing === null &&
    superBlock.dirtyInodes.size === 0 &&
    journal.checkpoint.size === 0;
  if (isClean()) return 0;
  const target = {
    superBlock: superBlock.id,
    sequence: journal.running.sequence,
    checkpoints: journal.checkpoints,
  };
  const kept = task === null || task.kernelThread !== null ? target : callData(task, () => target);
  const start = kept.superBlock === superBlock.id ? kept : target;
  if (start.checkpoints < journal.checkpoints && journal.lastCommitted >= start.sequence) return 0;
  journal.wantCheckpoint = true;
  wakeUp(kernel, journal.thread);
  return waitFor(kernel, journal.wait, 'ext4_sync_fs');
}

/** Leaves the disk clean: nothing in the log, no flag. Called until it gives another value than BLOCKED. */
export function unmountExt4(kernel: Kernel, superBlock: SuperBlock): number | Failure {
  const stopped = stopWriting(kernel, superBlock);
  if (failed(stopped)) return stopped;
  const ext4 = ext4Of(superBlock);
  const device = deviceOf(kernel, ext4);
  device.holder = '';
  kernel.vfs.mounting.delete(`${device.name} unmount`);
  dropPages(kernel, device.space);
  return 0;
}

/** To read-only: as unmounting, but the tree stays. */
export function stopWriting(kernel: Kernel, superBlock: SuperBlock): number | Failure {
  const ext4 = ext4Of(superBlock);
  const { journal } = ext4;
  if (journal === null) return 0;
  const device = deviceOf(kernel, ext4);
  const key = `${device.name} unmount`;
  if (!ext4.aborted) {
    if (!kernel.vfs.mounting.has(key)) {
      const isClean =
        isEmpty(journal.running) &&
        journal.committing === null &&
        superBlock.dirtyInodes.size === 0 &&
        !ext4.countsChanged;
      const pending = [...superBlock.inodes.values()].some(
        (inode) => inode.pages !== null && inode.pages.dirty.size > 0,
      );
      if (!isClean || pending || journal.checkpoint.size > 0) {
        const synced = syncExt4Strictly(kernel, superBlock, journal);
        if (failed(synced)) return synced;
      }
      if (journal.phase !== 'idle') return waitFor(kernel, journal.wait, 'ext4_put_super');
      putTail(journal.superBytes, 0, journal.running.sequence);
      const log = change(kernel, device, logToDisk(journal, 0), (bytes) => bytes.set(journal.superBytes));
      if (failed(log)) return log;
      const flagged = change(kernel, device, 0, (bytes) =>
        encodeSuperblock(kernel, ext4, bytes, { recover: false }),
      );
      if (failed(flagged)) return flagged;
      kernel.vfs.mounting.set(key, 'flags written');
    }
    const synced = syncDevice(kernel, device);
    if (failed(synced)) return synced;
    kernel.vfs.mounting.delete(key);
  }
  for (const run of journal.runs) dropPages(kernel, device.space, run.physical, run.physical + run.count);
  ext4.journal = null;
  return 0;
}

/** Until nothing is left: the caller has made sure that nobody writes any more. */
function syncExt4Strictly(kernel: Kernel, superBlock: SuperBlock, journal: Journal): number | Failure {
  const written = writeFiles(kernel, superBlock);
  if (failed(written)) return written;
  const evicted = waitForEvictions(kernel, superBlock);
  if (failed(evicted)) return evicted;
  const ext4 = ext4Of(superBlock);
  if (ext4.aborted) return 0;
  const isDone =
    isEmpty(journal.running) && journal.committing === null && superBlock.dirtyInodes.size === 0 && !ext4.countsChanged &&
    journal.checkpoint.size === 0; // prettier-ignore
  if (isDone) return 0;
  journal.wantCheckpoint = true;
  wakeUp(kernel, journal.thread);
  return waitFor(kernel, journal.wait, 'ext4_put_super');
}

/** A read-only file system may be written from now on. */
export function restartWriting(kernel: Kernel, superBlock: SuperBlock): number | Failure {
  const ext4 = ext4Of(superBlock);
  if (ext4.aborted || (ext4.compat & COMPAT.HAS_JOURNAL) === 0) return EROFS;
  if (ext4.journal !== null) return 0;
  const device = deviceOf(kernel, ext4);
  const key = `${device.name} remount`;
  if (!kernel.vfs.mounting.has(key)) {
    const journal = readJournal(kernel, superBlock, ext4);
    if (failed(journal)) return journal;
    ext4.journal = journal;
    const state: Mounting = { phase: 'start', recovered: false, nextSequence: 0, superBlock };
    const started = startWriting(kernel, state);
    ext4.journal = null;
    if (failed(started)) return started;
    kernel.vfs.mounting.set(key, journal);
  }
  const synced = syncDevice(kernel, device);
  if (failed(synced)) return synced;
  const journal = kernel.vfs.mounting.get(key) as Journal; // put there above
  kernel.vfs.mounting.delete(key);
  ext4.journal = journal;
  for (const run of journal.runs) dropPages(kernel, device.space, run.physical, run.physical + run.count);
  startThreads(kernel, device);
  return 0;
}
