// The ext4 file system type and its table of inode operations.
import { failed } from '../../abi/errno.ts';
import { inodeOperations } from '../vfs/inode.ts';
import { superBlockOf } from '../vfs/inode-cache.ts';
import { fileSystemTypes } from '../vfs/super-block.ts';
import { listDirectory, lookupName } from './directory.ts';
import { evict, fallocate, prepareWrite, seekData, truncate } from './file.ts';
import { BLOCK, EXT4_MAGIC } from './format.ts';
import { loadInode } from './inode-io.ts';
import { fsyncInode } from './fsync.ts';
import { armTimer } from './journal.ts';
import { mountExt4 } from './mount.ts';
import { restartWriting, stopWriting, syncExt4, unmountExt4 } from './unmount.ts';
import { create, link, mkdir, mknod, readlink, rename, rmdir, symlink, tmpfile, unlink } from './names.ts';
import { ext4Of } from './state.ts';
import { getXattr, listXattr, setXattr } from './xattr.ts';

inodeOperations['ext4'] = {
  lookup(kernel, directory, name) {
    const number = lookupName(kernel, directory, name);
    return failed(number) ? number : loadInode(kernel, superBlockOf(kernel, directory), number);
  },
  create, mkdir, mknod, symlink, link, unlink, rmdir, rename, readlink, tmpfile,
  readDirectory: listDirectory,
  truncate, fallocate, prepareWrite, seekData,
  evictsLater: true,
  evict, getXattr, setXattr, listXattr,
  dirtied(kernel, inode) {
    const ext4 = ext4Of(superBlockOf(kernel, inode));
    if (ext4.journal !== null) armTimer(kernel, ext4, ext4.journal);
  },
  fsync: (kernel, inode, dataOnly) => fsyncInode(kernel, superBlockOf(kernel, inode), inode, dataOnly),
}; // prettier-ignore

fileSystemTypes['ext4'] = {
  name: 'ext4',
  needsDevice: true,
  magic: EXT4_MAGIC,
  mount: mountExt4,
  unmount: unmountExt4,
  remount(kernel, superBlock, request) {
    if (request.readOnly === superBlock.readOnly) return 0;
    return request.readOnly ? stopWriting(kernel, superBlock) : restartWriting(kernel, superBlock);
  },
  sync: syncExt4,
  statfs(_kernel, superBlock) {
    const ext4 = ext4Of(superBlock);
    const tables = ext4.groups.length * (2 + Math.ceil((ext4.inodesPerGroup * ext4.inodeSize) / BLOCK)) + 2;
    return {
      type: EXT4_MAGIC, blockSize: BLOCK, blocks: ext4.blockCount - tables, free: ext4.freeBlocks,
      available: Math.max(0, ext4.freeBlocks - ext4.reservedBlocks), files: ext4.inodeCount, freeFiles: ext4.freeInodes,
      nameLength: 255,
    }; // prettier-ignore
  },
};
