// tmpfs and ramfs: mounting, options (size=, nr_inodes=, mode=, uid=, gid=), statfs.
import { EINVAL, failed, type Failure } from '../../abi/errno.ts';
import type { StatFs } from '../../abi/stat.ts';
import type { Kernel } from '../../state.ts';
import { inodeOperations } from '../vfs/inode.ts';
import { newSuperBlock } from '../vfs/inode-cache.ts';
import {
  fileSystemTypes,
  type FileSystemType,
  type MountRequest,
  type SuperBlock,
} from '../vfs/super-block.ts';
import { memoryFileSystemOf, memoryOperations, newMemoryInode, type MemoryFileSystem } from './inodes.ts';

const PAGE = 4096;
export const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;

interface Options {
  pages: number;
  inodes: number;
  mode: number;
  uid: number;
  gid: number;
}

/** A size as `16m`, `64k`, `50%` of RAM, or bytes. */
function pagesOf(text: string, ramPages: number): number | undefined {
  const match = /^(\d+)([kKmMgG%]?)$/.exec(text);
  if (match === null) return undefined;
  const value = Number(match[1]);
  if (match[2] === '%') return Math.floor((ramPages * value) / 100);
  const unit = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[match[2]?.toLowerCase() ?? ''] ?? 1;
  return value === 0 ? Infinity : Math.ceil((value * unit) / PAGE);
}

function parse(text: string, options: Options, ramPages: number): number | Failure {
  for (const option of text.split(',')) {
    const [name = '', value = ''] = option.split('=');
    if (name === 'size') {
      const pages = pagesOf(value, ramPages);
      if (pages === undefined) return EINVAL;
      options.pages = pages;
    } else if (name === 'nr_blocks') options.pages = Number(value) || Infinity;
    else if (name === 'nr_inodes') {
      const count = pagesOf(value, ramPages);
      if (count === undefined) return EINVAL;
      options.inodes = /[kmg]$/i.test(value) ? count * PAGE : Number(value) || Infinity;
    } else if (name === 'mode') options.mode = parseInt(value, 8) & 0o7777;
    else if (name === 'uid') options.uid = Number(value);
    else if (name === 'gid') options.gid = Number(value);
    else if (name !== '' && !/^(huge|mpol|noswap|inode32|inode64|rw|ro)$/.test(name)) return EINVAL;
  }
  return [options.mode, options.uid, options.gid].some(Number.isNaN) ? EINVAL : 0;
}

/** A new memory file system; `limited` is false for ramfs, which takes what it gets. */
export function mountMemory(
  kernel: Kernel,
  fs: string,
  request: MountRequest,
  limited: boolean,
  mode: number,
): SuperBlock | Failure {
  const ramPages = Math.floor(kernel.config.memoryBytes / PAGE);
  const half = Math.floor(ramPages / 2);
  const options: Options = {
    pages: limited ? half : Infinity,
    inodes: limited ? half : Infinity,
    mode,
    uid: 0,
    gid: 0,
  };
  const parsed = parse(request.options, options, ramPages);
  if (failed(parsed)) return parsed;
  const data: MemoryFileSystem = {
    kind: 'memory-fs',
    maxPages: options.pages,
    maxInodes: options.inodes,
    usedPages: 0,
  };
  const shown = limited && options.pages !== half ? `,size=${options.pages * 4}k` : '';
  const superBlock = newSuperBlock(kernel, {
    fs,
    source: request.source,
    readOnly: request.readOnly,
    data,
    options: shown,
  });
  const root = newMemoryInode(kernel, superBlock, 'directory', options.mode, options);
  if (failed(root)) {
    kernel.vfs.superBlocks.delete(superBlock.id);
    return root;
  }
  superBlock.root = root;
  return superBlock;
}

export function memoryStatfs(superBlock: SuperBlock, magic: number): Omit<StatFs, 'id' | 'flags'> {
  const limits = memoryFileSystemOf(superBlock);
  const blocks = limits.maxPages === Infinity ? 0 : limits.maxPages;
  const free = Math.max(0, blocks - limits.usedPages);
  const files = limits.maxInodes === Infinity ? 0 : limits.maxInodes;
  const freeFiles = Math.max(0, files - superBlock.inodes.size);
  return { type: magic, blockSize: PAGE, blocks, free, available: free, files, freeFiles, nameLength: 255 };
}

function memoryType(name: string, magic: number, limited: boolean, mode: number): FileSystemType {
  return {
    name,
    needsDevice: false,
    magic,
    mount: (kernel, request) => mountMemory(kernel, name, request, limited, mode),
    remount(kernel, superBlock, request) {
      const limits = memoryFileSystemOf(superBlock);
      const options: Options = { pages: limits.maxPages, inodes: limits.maxInodes, mode: 0, uid: 0, gid: 0 };
      const parsed = parse(request.options, options, Math.floor(kernel.config.memoryBytes / PAGE));
      if (failed(parsed) || options.pages < limits.usedPages) return EINVAL;
      limits.maxPages = options.pages;
      limits.maxInodes = options.inodes;
      return 0;
    },
    statfs: (_kernel, superBlock) => memoryStatfs(superBlock, magic),
  };
}

inodeOperations['tmpfs'] = memoryOperations;
inodeOperations['ramfs'] = memoryOperations;
fileSystemTypes['tmpfs'] = memoryType('tmpfs', TMPFS_MAGIC, true, 0o1777);
fileSystemTypes['ramfs'] = memoryType('ramfs', RAMFS_MAGIC, false, 0o755);
