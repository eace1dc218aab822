// Mounting and unmounting ext4. Every step may give BLOCKED and be called again; what was reached is kept in
// kernel.vfs.mounting. Order: read the superblock and groups, replay the journal (then read again), reset the log, flag
// "needs recovery", free orphans. Unmounting goes the other way round.
import { BLOCKED, EBUSY, EINVAL, EIO, ENXIO, failed, type Failure } from '../../abi/errno.ts';
import { ensureFlushed } from '../../block/flush.ts';
import type { BlockDevice } from '../../block/state.ts';
import { viewBytes, writeBytes } from '../../machine/index.ts';
import { dropPages, grabPage, markDirty, readPage } from '../../mm/page-cache.ts';
import { writeBackSpace } from '../../mm/write-back.ts';
import { newWaitQueue, wakeUp } from '../../sched/wait-queue.ts';
import type { Kernel } from '../../state.ts';
import { printk } from '../../trace/printk.ts';
import type { Inode } from '../vfs/inode.ts';
import { forgetInode, newSuperBlock } from '../vfs/inode-cache.ts';
import type { MountRequest, SuperBlock } from '../vfs/super-block.ts';
import { wantThread } from '../vfs/threads.ts';
import { logToDisk } from './commit.ts';
import { mapBlock, removeExtents } from './extents.ts';
import { BLOCK, COMPAT, INCOMPAT, ROOT_INODE } from './format.ts';
import { editInode, readBlock, withHandle } from './handle.ts';
import { removeOrphan } from './inode-allocator.ts';
import { decodeInode, inodeLocation } from './inode-format.ts';
import { loadInode } from './inode-io.ts';
import { findMounted } from './journal.ts';
import {
  BLOCK_TYPE,
  getBig32,
  JOURNAL_INCOMPAT,
  JOURNAL_MAGIC,
  JSB,
  putBig32,
  putTail,
} from './journal-format.ts';
import { newTransaction, type Journal } from './journal-state.ts';
import { readLog } from './recovery.ts';
import { deviceOf, ext4InodeOf, ext4Of, type Ext4 } from './state.ts';
import { decodeSuperblock, encodeSuperblock, readGroups } from './superblock.ts';

const MAX_FILE_BYTES = 0xffff_ffff * BLOCK;

export interface Mounting {
  phase: 'read' | 'replay-sync' | 'start' | 'start-sync' | 'orphans';
  recovered: boolean;
  nextSequence: number;
  superBlock: SuperBlock | null;
}

export function mountExt4(kernel: Kernel, request: MountRequest): SuperBlock | Failure {
  const device = kernel.block.devices.get(request.device);
  if (device === undefined) return ENXIO;
  const progress = kernel.vfs.mounting.get(device.name) as Mounting | undefined; // put there below
  if (progress === undefined) {
    const existing = findMounted(kernel, device.name);
    if (existing !== undefined) return existing.readOnly === request.readOnly ? existing : EBUSY;
    if (device.holder !== '') return EBUSY;
  }
  const state: Mounting = progress ?? { phase: 'read', recovered: false, nextSequence: 0, superBlock: null };
  kernel.vfs.mounting.set(device.name, state);
  device.holder = 'ext4';
  const result = proceed(kernel, device, request, state);
  if (result === BLOCKED) return result;
  kernel.vfs.mounting.delete(device.name);
  if (failed(result)) {
    dropSuperBlock(kernel, state);
    device.holder = '';
    return result;
  }
  return result;
}

function dropSuperBlock(kernel: Kernel, state: Mounting): void {
  const { superBlock } = state;
  state.superBlock = null;
  if (superBlock === null) return;
  for (const inode of [...superBlock.inodes.values()]) forgetInode(kernel, inode);
  kernel.vfs.superBlocks.delete(superBlock.id);
}

function proceed(
  kernel: Kernel,
  device: BlockDevice,
  request: MountRequest,
  state: Mounting,
): SuperBlock | Failure {
  for (;;) {
    const step = nextStep(kernel, device, request, state);
    if (failed(step)) return step;
    if (step === 'mounted' && state.superBlock !== null) return state.superBlock;
  }
}

type Step = 'go on' | 'mounted';

function nextStep(
  kernel: Kernel,
  device: BlockDevice,
  request: MountRequest,
  state: Mounting,
): Step | Failure {
  switch (state.phase) {
    case 'read': return readEverything(kernel, device, request, state);
    case 'replay-sync': {
      const synced = syncDevice(kernel, device);
      if (failed(synced)) return synced;
      state.recovered = true;
      state.phase = 'read'; // the superblock and the groups may be other ones now
      return 'go on';
    }
    case 'start': return startWriting(kernel, state);
    case 'start-sync': {
      const synced = syncDevice(kernel, device);
      if (failed(synced)) return synced;
      state.phase = 'orphans';
      return 'go on';
    }
    case 'orphans': return freeOrphans(kernel, device, state);
  } // prettier-ignore
}

/** Everything dirty in the device's cache is on the disk for good. */
export function syncDevice(kernel: Kernel, device: BlockDevice): number | Failure {
  const written = writeBackSpace(kernel, device.space, { wait: true });
  return failed(written) ? written : ensureFlushed(kernel, device, device.completedWrites);
}

function readEverything(
  kernel: Kernel,
  device: BlockDevice,
  request: MountRequest,
  state: Mounting,
): Step | Failure {
  dropSuperBlock(kernel, state);
  const frame = readPage(kernel, device.space, 0);
  if (failed(frame)) return frame;
  const block = viewBytes(kernel.machine, frame * BLOCK, BLOCK).slice();
  const ext4 = decodeSuperblock(kernel, device.name, device.blockCount, block, request.readOnly);
  if (failed(ext4)) return ext4;
  const groups = readGroups(ext4, (number) => readBlock(kernel, ext4, number));
  if (failed(groups)) return groups;
  const superBlock = newSuperBlock(kernel, {
    fs: 'ext4', source: request.source, device: device.name, deviceNumber: device.device, readOnly: request.readOnly,
    maxFileBytes: MAX_FILE_BYTES, data: ext4,
  }); // prettier-ignore
  state.superBlock = superBlock;
  const root = loadInode(kernel, superBlock, ROOT_INODE);
  if (failed(root)) return root;
  if (root.kind !== 'directory') return EINVAL;
  superBlock.root = root;
  if ((ext4.compat & COMPAT.HAS_JOURNAL) === 0 || ext4.journalInode === 0) {
    if (!request.readOnly) printk(kernel, 4, `EXT4-fs (${device.name}): no journal: mounted read-only`);
    superBlock.readOnly = true;
    return 'mounted';
  }
  const journal = readJournal(kernel, superBlock, ext4);
  if (failed(journal)) return journal;
  if ((ext4.incompat & INCOMPAT.RECOVER) !== 0 && !state.recovered)
    return replay(kernel, device, state, journal);
  if (request.readOnly) {
    printk(
      kernel,
      6,
      `EXT4-fs (${device.name}): mounted filesystem with ordered data mode. Quota mode: none.`,
    );
    return 'mounted';
  }
  journal.running = newTransaction(
    Math.max(1, state.recovered ? state.nextSequence : journal.running.sequence),
  );
  ext4.journal = journal;
  state.phase = 'start';
  return 'go on';
}

/** The journal inode's runs and its superblock. */
export function readJournal(kernel: Kernel, superBlock: SuperBlock, ext4: Ext4): Journal | Failure {
  const inode = loadInode(kernel, superBlock, ext4.journalInode);
  if (failed(inode)) return inode;
  const runs: { logical: number; physical: number; count: number }[] = [];
  const blockCount = Math.floor(inode.size / BLOCK);
  for (let logical = 0; logical < blockCount;) {
    const mapping = mapBlock(kernel, inode, logical);
    if (failed(mapping)) return mapping;
    if (mapping.physical === 0) return EIO;
    const count = Math.min(mapping.count, blockCount - logical);
    runs.push({ logical, physical: mapping.physical, count });
    logical += count;
  }
  const [first] = runs;
  const bytes = first === undefined ? EIO : readBlock(kernel, ext4, first.physical);
  if (failed(bytes)) return bytes;
  const superBytes = bytes.slice();
  const type = getBig32(superBytes, 4);
  const isSuper =
    getBig32(superBytes, 0) === JOURNAL_MAGIC && (type === BLOCK_TYPE.superV2 || type === BLOCK_TYPE.superV1);
  const length = getBig32(superBytes, JSB.maxLength);
  const firstBlock = getBig32(superBytes, JSB.first);
  if (
    !isSuper ||
    getBig32(superBytes, JSB.blockSize) !== BLOCK ||
    length > blockCount ||
    firstBlock < 1 ||
    length < firstBlock + 64
  ) {
    printk(kernel, 3, `EXT4-fs (${ext4.device}): error loading journal`);
    return EIO;
  }
  return {
    runs, superBytes, firstBlock, blockCount: length, head: firstBlock, tail: firstBlock, tailSequence: 0,
    running: newTransaction(getBig32(superBytes, JSB.sequence)), committing: null, committed: [], checkpoint: new Map(),
    inPlace: new Map(), lastCommitted: 0, wanted: 0, wantCheckpoint: false, checkpointTarget: -1, phase: 'idle', outstanding: 0,
    failed: false, commitStart: 0, timer: 0, wait: newWaitQueue(), thread: newWaitQueue(), commits: 0, checkpoints: 0,
    loggedBlocks: 0,
  }; // prettier-ignore
}

function replay(kernel: Kernel, device: BlockDevice, state: Mounting, journal: Journal): Step | Failure {
  const read = (log: number): Uint8Array | Failure => readLogBlock(kernel, device, journal, log);
  const found = readLog(journal.superBytes, read);
  if (failed(found)) return found;
  const contents: { block: number; bytes: Uint8Array }[] = [];
  for (const [block, from] of found.blocks) {
    if (block >= device.blockCount) return EIO;
    const bytes = read(from.log);
    if (failed(bytes)) return bytes;
    const copy = bytes.slice();
    if (from.escaped) putBig32(copy, 0, JOURNAL_MAGIC);
    contents.push({ block, bytes: copy });
  }
  for (const { block, bytes } of contents) {
    const frame = grabPage(kernel, device.space, block, { overwrite: true });
    if (failed(frame)) return frame;
    writeBytes(kernel.machine, frame * BLOCK, bytes);
    markDirty(kernel, device.space, block);
  }
  printk(
    kernel,
    6,
    `EXT4-fs (${device.name}): recovery complete: ${found.transactions} transactions, ${contents.length} blocks`,
  );
  state.nextSequence = found.nextSequence;
  state.phase = 'replay-sync';
  return 'go on';
}

/** A log block through the device's cache, with a window of the ones behind it. */
function readLogBlock(
  kernel: Kernel,
  device: BlockDevice,
  journal: Journal,
  log: number,
): Uint8Array | Failure {
  const disk = logToDisk(journal, log);
  if (disk < 0) return EIO;
  const frame = readPage(kernel, device.space, disk, { start: 0, size: 32, async: 0, previous: disk - 1 });
  return failed(frame) ? frame : viewBytes(kernel.machine, frame * BLOCK, BLOCK);
}

/** Changes a block in the device's cache outside of any transaction. */
export function change(
  kernel: Kernel,
  device: BlockDevice,
  block: number,
  edit: (bytes: Uint8Array) => void,
): number | Failure {
  const frame = readPage(kernel, device.space, block);
  if (failed(frame)) return frame;
  const bytes = viewBytes(kernel.machine, frame * BLOCK, BLOCK).slice();
  edit(bytes);
  writeBytes(kernel.machine, frame * BLOCK, bytes);
  markDirty(kernel, device.space, block);
  return 0;
}

/** An empty log that starts with the next sequence, and the superblock's flag that it must be looked at. */
export function startWriting(kernel: Kernel, state: Mounting): Step | Failure {
  const { superBlock } = state;
  if (superBlock === null) return EIO;
  const ext4 = ext4Of(superBlock);
  const { journal } = ext4;
  if (journal === null) return EIO;
  const device = deviceOf(kernel, ext4);
  journal.tailSequence = journal.running.sequence;
  journal.lastCommitted = journal.running.sequence - 1;
  journal.wanted = journal.lastCommitted;
  const { superBytes } = journal;
  putBig32(superBytes, 4, BLOCK_TYPE.superV2);
  putTail(superBytes, journal.tail, journal.tailSequence);
  putBig32(superBytes, JSB.errno, 0);
  putBig32(superBytes, JSB.compat, 0);
  putBig32(superBytes, JSB.incompat, JOURNAL_INCOMPAT.REVOKE);
  putBig32(superBytes, JSB.checksumType, 0);
  putBig32(superBytes, JSB.checksum, 0);
  const log = change(kernel, device, logToDisk(journal, 0), (bytes) => bytes.set(superBytes));
  if (failed(log)) return log;
  const flagged = change(kernel, device, 0, (bytes) =>
    encodeSuperblock(kernel, ext4, bytes, { mounted: true, recover: true }),
  );
  if (failed(flagged)) return flagged;
  state.phase = 'start-sync';
  return 'go on';
}

/** Inodes that were open without links, or being truncated, when the machine stopped. */
function freeOrphans(kernel: Kernel, device: BlockDevice, state: Mounting): Step | Failure {
  const { superBlock } = state;
  if (superBlock === null) return EIO;
  const ext4 = ext4Of(superBlock);
  const orphans: Inode[] = [];
  const seen = new Set<number>();
  for (let number = ext4.lastOrphan; number !== 0;) {
    if (seen.has(number)) break;
    seen.add(number);
    const inode = loadInode(kernel, superBlock, number);
    if (failed(inode)) {
      if (inode === BLOCKED) return inode;
      break;
    }
    const { block, offset } = inodeLocation(ext4, number);
    const bytes = readBlock(kernel, ext4, block);
    if (failed(bytes)) return bytes;
    const own = ext4InodeOf(inode);
    own.orphan = true;
    own.previousOrphan = orphans.at(-1)?.number ?? 0;
    own.nextOrphan = decodeInode(ext4, bytes.subarray(offset, offset + ext4.inodeSize)).deletedSeconds;
    orphans.push(inode);
    number = own.nextOrphan;
  }
  for (const inode of orphans) {
    if (inode.linkCount === 0) continue;
    const done = withHandle(kernel, superBlock, (handle) => {
      const draft = editInode(handle, inode);
      if (failed(draft)) return draft;
      const removed =
        inode.kind === 'file'
          ? removeExtents(handle, inode, Math.ceil(inode.size / BLOCK), 0x1_0000_0000)
          : 0;
      return failed(removed) ? removed : removeOrphan(handle, inode);
    });
    if (failed(done)) return done;
  }
  const unlinked = orphans.filter((inode) => inode.linkCount === 0);
  for (const inode of unlinked) kernel.vfs.doomed.add(inode);
  if (orphans.length > 0)
    printk(kernel, 6, `EXT4-fs (${device.name}): ${orphans.length} orphan inodes deleted or truncated`);
  for (const run of ext4.journal?.runs ?? [])
    dropPages(kernel, device.space, run.physical, run.physical + run.count);
  startThreads(kernel, device);
  printk(kernel, 6, `EXT4-fs (${device.name}): mounted filesystem with ordered data mode. Quota mode: none.`);
  return 'mounted';
}

export function startThreads(kernel: Kernel, device: BlockDevice): void {
  wakeUp(kernel, kernel.vfs.unmounted);
  wakeUp(kernel, kernel.vfs.doomedThread);
  if (kernel.vfs.threads.has(device.name)) return;
  kernel.vfs.threads.add(device.name);
  wantThread(kernel, 'jbd2', `jbd2/${device.name}-8`, device.name);
}
