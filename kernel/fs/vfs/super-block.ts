// A mounted file system's own record (Linux's super_block) and the table of file-system types.
import type { Failure } from '../../abi/errno.ts';
import type { StatFs } from '../../abi/stat.ts';
import type { Kernel } from '../../state.ts';
import type { Inode } from './inode.ts';

export interface SuperBlock {
  readonly id: number;
  /** Name of the type: picks fileSystemTypes and inodeOperations. */
  readonly fs: string;
  /** Name of the block device, '' for none. */
  readonly device: string;
  /** st_dev of its inodes. */
  readonly deviceNumber: number;
  /** What /proc/mounts shows as the source when the mount named none. */
  readonly source: string;
  readOnly: boolean;
  readonly blockSize: number;
  readonly maxFileBytes: number;
  root: Inode | null;
  /** Inodes in memory by number. */
  inodes: Map<number, Inode>;
  /** Inodes whose attributes are newer than what the file system has written down. */
  dirtyInodes: Set<Inode>;
  nextInode: number;
  mounts: number;
  /** Mount options as /proc/mounts shows them, e.g. ',size=64k'. */
  options: string;
  /** What the type keeps: plain data. */
  data: unknown;
}

export interface MountRequest {
  /** As given to mount(2), for /proc/mounts. */
  readonly source: string;
  /** Name of the block device that it is, '' where the type needs none. */
  readonly device: string;
  readonly readOnly: boolean;
  readonly options: string;
}

export interface FileSystemType {
  readonly name: string;
  /** False: shown with `nodev` in /proc/filesystems. */
  readonly needsDevice: boolean;
  /** Makes the super block with its root inode, or finds the one in use. May give BLOCKED with nothing changed. */
  mount(kernel: Kernel, request: MountRequest): SuperBlock | Failure;
  /** The last mount is gone. May give BLOCKED; called again until it gives another value. */
  unmount?(kernel: Kernel, superBlock: SuperBlock): number | Failure;
  remount?(kernel: Kernel, superBlock: SuperBlock, request: MountRequest): number | Failure;
  statfs?(kernel: Kernel, superBlock: SuperBlock): Omit<StatFs, 'id' | 'flags'> | Failure;
  /** Makes everything durable; may give BLOCKED. */
  sync?(kernel: Kernel, superBlock: SuperBlock): number | Failure;
  /** Magic number for statfs where the type has no statfs of its own. */
  readonly magic: number;
}

/** By name, in the order of registration, which is the order of /proc/filesystems. */
export const fileSystemTypes: Record<string, FileSystemType> = {};
