// Bringing inodes into memory, and writing down attributes that changed without a handle (times, mode, owner).
import { EIO, EOPNOTSUPP, ESTALE, failed, type Failure } from '../../abi/errno.ts';
import { newAddressSpace } from '../../mm/address-space.ts';
import type { Kernel } from '../../state.ts';
import { printk } from '../../trace/printk.ts';
import type { FileKind, Inode } from '../vfs/inode.ts';
import { findInode, newInode } from '../vfs/inode-cache.ts';
import type { SuperBlock } from '../vfs/super-block.ts';
import { INODE_FLAG } from './format.ts';
import { editInode, readBlock, withHandle } from './handle.ts';
import { decodeInode, inodeLocation, type DecodedInode } from './inode-format.ts';
import { ext4Of, type Ext4Inode } from './state.ts';

export const newExt4Inode = (flags: number, fork: Uint8Array, generation: number): Ext4Inode => ({
  kind: 'ext4-inode', flags, fork, generation, xattrBlock: 0, nextOrphan: 0, orphan: false, previousOrphan: 0, sequence: 0, dataWrites: 0,
  roomHint: 0,
}); // prettier-ignore

/** The inode of a number, from memory or from disk. */
export function loadInode(kernel: Kernel, superBlock: SuperBlock, number: number): Inode | Failure {
  const cached = findInode(kernel, superBlock, number);
  if (cached !== undefined) return cached;
  const ext4 = ext4Of(superBlock);
  if (number < 1 || number > ext4.inodeCount)
    return corrupted(kernel, ext4.device, `inode number ${number} is out of range`);
  const { block, offset } = inodeLocation(ext4, number);
  const bytes = readBlock(kernel, ext4, block);
  if (failed(bytes)) return bytes;
  return enterInode(
    kernel,
    superBlock,
    number,
    decodeInode(ext4, bytes.subarray(offset, offset + ext4.inodeSize)),
  );
}

function enterInode(
  kernel: Kernel,
  superBlock: SuperBlock,
  number: number,
  found: DecodedInode,
): Inode | Failure {
  if (found.kind === undefined) return ESTALE;
  const { device } = superBlock;
  if ((found.flags & INODE_FLAG.INLINE_DATA) !== 0) {
    printk(kernel, 3, `EXT4-fs (${device}): inode ${number}: inline data is not supported`);
    return EOPNOTSUPP;
  }
  const hasBlocks = found.kind === 'file' || found.kind === 'directory';
  if (hasBlocks && (found.flags & INODE_FLAG.EXTENTS) === 0 && found.size > 0) {
    printk(kernel, 3, `EXT4-fs (${device}): inode ${number}: block maps without extents are not supported`);
    return EOPNOTSUPP;
  }
  const data = { ...newExt4Inode(found.flags, found.fork, found.generation), xattrBlock: found.xattrBlock };
  const { kind, mode, uid, gid } = found;
  const inode = newInode(kernel, superBlock, {
    number,
    kind,
    mode,
    uid,
    gid,
    device: isDevice(kind) ? found.device : 0,
    data,
  });
  if (failed(inode)) return inode;
  inode.size = found.size;
  inode.linkCount = found.linkCount;
  inode.blocks = found.blocks;
  inode.atimeNs = found.atimeNs;
  inode.mtimeNs = found.mtimeNs;
  inode.ctimeNs = found.ctimeNs;
  inode.btimeNs = found.btimeNs;
  inode.generation = found.generation;
  givePages(inode);
  return inode;
}

const isDevice = (kind: FileKind): boolean => kind === 'char' || kind === 'block';

export function givePages(inode: Inode): void {
  if (inode.kind === 'file') inode.pages = newAddressSpace('ext4', inode);
}

/** Something on disk contradicts itself: one line in the kernel log, EIO for the caller. */
export function corrupted(kernel: Kernel, device: string, what: string): Failure {
  printk(kernel, 2, `EXT4-fs error (device ${device}): ${what}`);
  return EIO;
}

/** Puts the attributes of an inode into the running transaction. */
export function writeInode(kernel: Kernel, superBlock: SuperBlock, inode: Inode): number | Failure {
  if (!inode.dirty) return 0;
  return withHandle(kernel, superBlock, (handle) => {
    const draft = editInode(handle, inode);
    return failed(draft) ? draft : 0;
  });
}

/** Puts every changed inode into the running transaction; BLOCKED while one must be read. */
export function writeDirtyInodes(kernel: Kernel, superBlock: SuperBlock): number | Failure {
  for (const inode of [...superBlock.dirtyInodes]) {
    const written = writeInode(kernel, superBlock, inode);
    if (failed(written)) return written;
  }
  return 0;
}
