// The journal's thread, jbd2/DEV-8: one step of a commit or a checkpoint at a time.
//
//   idle → data → log → commit-block → idle            a commit
//   idle → checkpoint → checkpoint-flush → tail → idle  when room in the log is short, or somebody wants all in place
//
// A commit writes the data of files with new blocks, then descriptor, revoke and metadata blocks to the log, waits for them,
// then writes the commit block between two flushes. Its blocks then may go to their places. The log's tail moves on
// only after a flush behind the last of them.
import { BLOCKED, EIO, failed } from '../../abi/errno.ts';
import { blockCompletions, submitBio } from '../../block/queue.ts';
import { ensureFlushed } from '../../block/flush.ts';
import type { BlockDevice } from '../../block/state.ts';
import { put32 } from '../../lib/bytes.ts';
import { viewBytes } from '../../machine/index.ts';
import { putFrame } from '../../mm/buddy.ts';
import { clearDirty } from '../../mm/cache-pages.ts';
import { markDirty } from '../../mm/page-cache.ts';
import { writeBackSpace } from '../../mm/write-back.ts';
import { kernelThreads } from '../../sched/kernel-thread.ts';
import { sleepOn, wakeUp } from '../../sched/wait-queue.ts';
import type { Task } from '../../sched/task.ts';
import type { Kernel } from '../../state.ts';
import { now } from '../../time/clock.ts';
import { printk } from '../../trace/printk.ts';
import { emit, isOn, tracepoint } from '../../trace/tracepoint.ts';
import type { SuperBlock } from '../vfs/super-block.ts';
import { BLOCK } from './format.ts';
import { writeDirtyInodes } from './inode-io.ts';
import { armTimer, COMMIT_INTERVAL_NS, dropCheckpoint, findMounted, usedLog } from './journal.ts';
import {
  encodeCommit, encodeDescriptors, encodeRevokes, needsEscape, putTail,
} from './journal-format.ts'; // prettier-ignore
import { isEmpty, newTransaction, type Journal, type Transaction } from './journal-state.ts';
import { deviceOf, ext4Of, type Ext4 } from './state.ts';
import { writeCounts } from './superblock.ts';

const startCommit = tracepoint('jbd2', 'jbd2_start_commit', { dev: 'u32', transaction: 'u32' });
const endCommit = tracepoint('jbd2', 'jbd2_end_commit', { dev: 'u32', transaction: 'u32', head: 'u32' });
const checkpointEvent = tracepoint('jbd2', 'jbd2_checkpoint', { dev: 'u32', result: 's32' });

kernelThreads['jbd2'] = (kernel, task) => {
  const name = String(task.kernelThread?.data);
  const superBlock = findMounted(kernel, name);
  const journal = superBlock === undefined ? null : ext4Of(superBlock).journal;
  if (superBlock === undefined || journal === null)
    return sleepOn(kernel, task, kernel.vfs.unmounted, 'kjournald2');
  if (ext4Of(superBlock).aborted) return sleepOn(kernel, task, kernel.vfs.unmounted, 'kjournald2');
  return stepJournal(kernel, superBlock, journal, task);
};

/** One step: 0 when something was done, BLOCKED when the thread sleeps. */
export function stepJournal(kernel: Kernel, superBlock: SuperBlock, journal: Journal, task: Task): number {
  switch (journal.phase) {
    case 'idle': return idle(kernel, superBlock, journal, task);
    case 'data': return writeData(kernel, superBlock, journal);
    case 'log': return afterLog(kernel, superBlock, journal, task);
    case 'commit-block': return afterCommitBlock(kernel, superBlock, journal, task);
    case 'checkpoint': return checkpoint(kernel, superBlock, journal);
    case 'checkpoint-flush': return checkpointFlush(kernel, superBlock, journal);
    case 'tail': return afterTail(kernel, journal, task);
  } // prettier-ignore
}

function idle(kernel: Kernel, superBlock: SuperBlock, journal: Journal, task: Task): number {
  const ext4 = ext4Of(superBlock);
  const { running } = journal;
  const age = running.startedNs < 0 ? 0 : now(kernel) - running.startedNs;
  const isDue = journal.wanted >= running.sequence || age >= COMMIT_INTERVAL_NS || isLarge(journal);
  const isDirty = superBlock.dirtyInodes.size > 0 || ext4.countsChanged;
  if (journal.wantCheckpoint) {
    // Once: what runs now commits first, for its blocks hide older content that the log still needs.
    if (journal.checkpointTarget < 0)
      journal.checkpointTarget = isDirty || !isEmpty(running) ? running.sequence : journal.lastCommitted;
    if (journal.lastCommitted < journal.checkpointTarget) return begin(kernel, superBlock, journal);
    journal.phase = 'checkpoint';
    return 0;
  }
  if (isDue) return begin(kernel, superBlock, journal);
  if (isDirty || running.startedNs >= 0) {
    // Attributes alone: the timer that their change armed brings them here; they go with this commit.
    if (running.startedNs < 0) running.startedNs = now(kernel);
    armTimer(kernel, ext4, journal);
  }
  return sleepOn(kernel, task, journal.thread, 'kjournald2');
}

const isLarge = (journal: Journal): boolean =>
  journal.running.blocks.size > (journal.blockCount - journal.firstBlock) >> 3;

/** Takes what changed without a handle into the running transaction, and closes it. */
function begin(kernel: Kernel, superBlock: SuperBlock, journal: Journal): number {
  const ext4 = ext4Of(superBlock);
  const inodes = writeDirtyInodes(kernel, superBlock);
  if (inodes === BLOCKED) return BLOCKED;
  const counts = failed(inodes) ? inodes : writeCounts(kernel, superBlock);
  if (counts === BLOCKED) return BLOCKED;
  if (failed(counts)) return abort(kernel, ext4, journal, 'metadata could not be read for a commit');
  const { running } = journal;
  if (isEmpty(running)) {
    running.startedNs = -1;
    journal.lastCommitted = Math.max(journal.lastCommitted, Math.min(journal.wanted, running.sequence - 1));
    journal.wanted = Math.min(journal.wanted, running.sequence - 1);
    journal.checkpointTarget = Math.min(journal.checkpointTarget, journal.lastCommitted);
    wakeUp(kernel, journal.wait);
    return 0;
  }
  const { space } = deviceOf(kernel, ext4);
  for (const block of running.revoked) {
    const frame = space.pages.get(block);
    if (frame !== undefined && !running.blocks.has(block)) clearDirty(kernel.memory, space, block, frame);
  }
  if (isOn(kernel, startCommit))
    emit(kernel, startCommit, { dev: superBlock.deviceNumber, transaction: running.sequence });
  journal.committing = running;
  journal.running = newTransaction(running.sequence + 1);
  journal.phase = 'data';
  return 0;
}

/** Ordered mode: data first, so that no committed size shows what lay on the disk before. */
function writeData(kernel: Kernel, superBlock: SuperBlock, journal: Journal): number {
  const transaction = journal.committing;
  if (transaction === null) return 0;
  for (const inode of transaction.ordered) {
    const written = inode.pages === null ? 0 : writeBackSpace(kernel, inode.pages, { wait: true });
    if (written === BLOCKED) return BLOCKED;
    if (failed(written) && inode.pages !== null) inode.pages.error = EIO; // for that file's fsync to tell
    transaction.ordered.delete(inode);
  }
  writeLog(kernel, superBlock, journal, transaction);
  journal.phase = 'log';
  return 0;
}

function takeLogBlock(journal: Journal): number {
  const block = journal.head;
  journal.head = block + 1 === journal.blockCount ? journal.firstBlock : block + 1;
  return block;
}

/** Disk block of a log block. */
export function logToDisk(journal: Journal, log: number): number {
  for (const run of journal.runs)
    if (log >= run.logical && log < run.logical + run.count) return run.physical + log - run.logical;
  return -1;
}

/** Submits everything of a transaction but its commit block. Contents are copied now; nothing needs freezing after. */
function writeLog(kernel: Kernel, superBlock: SuperBlock, journal: Journal, transaction: Transaction): void {
  const device = deviceOf(kernel, ext4Of(superBlock));
  journal.commitStart = journal.head;
  const out: Uint8Array[] = encodeRevokes(
    transaction.sequence,
    [...transaction.revoked].filter((block) => !transaction.blocks.has(block)),
  );
  const blocks = [...transaction.blocks];
  const contents = blocks.map(([block, frame]) => {
    const bytes = transaction.frozen.get(block) ?? viewBytes(kernel.machine, frame * BLOCK, BLOCK);
    return bytes.slice();
  });
  const escaped = contents.map(needsEscape);
  const descriptors = encodeDescriptors(transaction.sequence, blocks.map(([block]) => block), escaped); // prettier-ignore
  contents.forEach((bytes, index) => {
    if (escaped[index] === true) put32(bytes, 0, 0);
  });
  let at = 0;
  for (const descriptor of descriptors) {
    out.push(descriptor.bytes, ...contents.slice(at, at + descriptor.count));
    at += descriptor.count;
  }
  transaction.frozen.clear();
  journal.loggedBlocks += out.length;
  submitLog(kernel, device, journal, out);
}

/** Writes blocks to the log from its head on, neighbours in one request. */
function submitLog(
  kernel: Kernel,
  device: BlockDevice,
  journal: Journal,
  blocks: readonly Uint8Array[],
): void {
  const runs: { first: number; parts: Uint8Array[] }[] = [];
  for (const bytes of blocks) {
    const disk = logToDisk(journal, takeLogBlock(journal));
    const open = runs.at(-1);
    if (open !== undefined && disk === open.first + open.parts.length && open.parts.length < 256)
      open.parts.push(bytes);
    else runs.push({ first: disk, parts: [bytes] });
  }
  for (const run of runs) {
    const bytes = new Uint8Array(run.parts.length * BLOCK);
    run.parts.forEach((part, index) => bytes.set(part, index * BLOCK));
    submit(kernel, device, journal, run.first, bytes, false);
  }
}

function submit(
  kernel: Kernel,
  device: BlockDevice,
  journal: Journal,
  first: number,
  bytes: Uint8Array,
  durable: boolean,
): void {
  journal.outstanding++;
  const completion = { kind: 'jbd2', device: device.name };
  const bio = { write: true, first, count: bytes.length / BLOCK, frames: [], bytes, completion };
  submitBio(kernel, device, bio, { sync: true, preflush: durable, fua: durable });
}

blockCompletions['jbd2'] = (kernel, completion, error) => {
  const superBlock = findMounted(kernel, String(completion['device']));
  const journal = superBlock === undefined ? null : ext4Of(superBlock).journal;
  if (journal === null) return;
  journal.outstanding--;
  if (error !== 0) journal.failed = true;
  if (journal.outstanding === 0) wakeUp(kernel, journal.thread);
};

function afterLog(kernel: Kernel, superBlock: SuperBlock, journal: Journal, task: Task): number {
  const ext4 = ext4Of(superBlock);
  const transaction = journal.committing;
  if (journal.failed || transaction === null)
    return abort(kernel, ext4, journal, 'writing to the journal failed');
  if (journal.outstanding > 0)
    return sleepOn(kernel, task, journal.thread, 'jbd2_journal_commit_transaction');
  const disk = logToDisk(journal, takeLogBlock(journal));
  submit(
    kernel,
    deviceOf(kernel, ext4),
    journal,
    disk,
    encodeCommit(transaction.sequence, kernel.time.wallBaseNs + now(kernel)),
    true,
  );
  journal.phase = 'commit-block';
  return 0;
}

function afterCommitBlock(kernel: Kernel, superBlock: SuperBlock, journal: Journal, task: Task): number {
  const ext4 = ext4Of(superBlock);
  const transaction = journal.committing;
  if (journal.failed || transaction === null)
    return abort(kernel, ext4, journal, 'writing a commit block failed');
  if (journal.outstanding > 0)
    return sleepOn(kernel, task, journal.thread, 'jbd2_journal_commit_transaction');
  const { space } = deviceOf(kernel, ext4);
  const { running } = journal;
  journal.committed.push({ sequence: transaction.sequence, start: journal.commitStart, pending: 0 });
  for (const block of transaction.revoked) if (!transaction.blocks.has(block)) dropCheckpoint(journal, block);
  for (const [block, frame] of transaction.blocks) {
    dropCheckpoint(journal, block);
    journal.checkpoint.set(block, transaction.sequence);
    // A block that a younger transaction has changed or freed goes to its place with that one.
    if (!running.blocks.has(block) && !running.revoked.has(block)) markDirty(kernel, space, block);
    putFrame(kernel, frame);
  }
  const own = journal.committed.at(-1);
  if (own !== undefined) own.pending = transaction.blocks.size;
  journal.lastCommitted = transaction.sequence;
  journal.committing = null;
  journal.commits++;
  journal.phase = 'idle';
  if (usedLog(journal) > (journal.blockCount - journal.firstBlock) >> 1) journal.wantCheckpoint = true;
  if (isOn(kernel, endCommit)) {
    emit(kernel, endCommit, {
      dev: superBlock.deviceNumber,
      transaction: transaction.sequence,
      head: journal.tailSequence,
    });
  }
  wakeUp(kernel, journal.wait);
  return 0;
}

/** Writes every committed block to its place. */
function checkpoint(kernel: Kernel, superBlock: SuperBlock, journal: Journal): number {
  const written = writeBackSpace(kernel, deviceOf(kernel, ext4Of(superBlock)).space, { wait: true });
  if (written === BLOCKED) return BLOCKED;
  if (failed(written)) return abort(kernel, ext4Of(superBlock), journal, 'writing metadata failed');
  journal.phase = 'checkpoint-flush';
  return 0;
}

function checkpointFlush(kernel: Kernel, superBlock: SuperBlock, journal: Journal): number {
  const device = deviceOf(kernel, ext4Of(superBlock));
  const flushed = ensureFlushed(kernel, device, device.completedWrites);
  if (flushed === BLOCKED) return BLOCKED;
  if (failed(flushed)) return abort(kernel, ext4Of(superBlock), journal, 'flushing metadata failed');
  while (journal.committed[0]?.pending === 0) journal.committed.shift();
  const [oldest] = journal.committed;
  journal.tail = oldest?.start ?? journal.head;
  journal.tailSequence = oldest?.sequence ?? journal.running.sequence;
  putTail(journal.superBytes, journal.tail, journal.tailSequence);
  submit(kernel, device, journal, logToDisk(journal, 0), journal.superBytes.slice(), true);
  if (isOn(kernel, checkpointEvent))
    emit(kernel, checkpointEvent, { dev: superBlock.deviceNumber, result: 0 });
  journal.phase = 'tail';
  return 0;
}

function afterTail(kernel: Kernel, journal: Journal, task: Task): number {
  if (journal.outstanding > 0) return sleepOn(kernel, task, journal.thread, 'jbd2_update_log_tail');
  journal.wantCheckpoint = false;
  journal.checkpointTarget = -1;
  journal.checkpoints++;
  journal.phase = 'idle';
  wakeUp(kernel, journal.wait);
  return 0;
}

/** The journal cannot go on: the file system takes no more changes, and whoever waits hears of it. */
function abort(kernel: Kernel, ext4: Ext4, journal: Journal, why: string): number {
  if (!ext4.aborted) {
    printk(kernel, 2, `EXT4-fs error (device ${ext4.device}): ${why}`);
    printk(kernel, 2, `EXT4-fs (${ext4.device}): Remounting filesystem read-only`);
  }
  ext4.aborted = true;
  journal.wantCheckpoint = false;
  journal.wanted = journal.lastCommitted;
  journal.failed = false;
  const { committing } = journal;
  if (committing !== null) for (const frame of committing.blocks.values()) putFrame(kernel, frame);
  journal.committing = null;
  journal.phase = 'idle';
  journal.running.startedNs = -1;
  wakeUp(kernel, journal.wait);
  return 0;
}
