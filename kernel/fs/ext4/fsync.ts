// fsync(2) and fdatasync(2).
import { EIO, failed, type Failure } from '../../abi/errno.ts';
import { ensureFlushed } from '../../block/flush.ts';
import type { Kernel } from '../../state.ts';
import type { Inode } from '../vfs/inode.ts';
import type { SuperBlock } from '../vfs/super-block.ts';
import { traceSyncEnter, traceSyncExit } from './events.ts';
import { writeInode } from './inode-io.ts';
import { waitForCommit } from './journal.ts';
import { deviceOf, ext4InodeOf, ext4Of } from './state.ts';

/** fsync(2) of an inode whose pages are written: its metadata's transaction, or a flush when that is durable already. */
export function fsyncInode(
  kernel: Kernel,
  superBlock: SuperBlock,
  inode: Inode,
  dataOnly: boolean,
): number | Failure {
  const ext4 = ext4Of(superBlock);
  const { journal } = ext4;
  if (journal === null) return 0;
  const own = ext4InodeOf(inode);
  traceSyncEnter(kernel, inode, dataOnly);
  // fdatasync leaves times alone; sizes always go with a handle.
  if (inode.dirty && !dataOnly) {
    const written = writeInode(kernel, superBlock, inode);
    if (failed(written)) return written;
  }
  const committed = waitForCommit(kernel, ext4, journal, own.sequence);
  if (failed(committed)) return committed;
  if (ext4.aborted) return EIO;
  const flushed = ensureFlushed(kernel, deviceOf(kernel, ext4), own.dataWrites);
  if (!failed(flushed)) traceSyncExit(kernel, inode, flushed);
  return flushed;
}
