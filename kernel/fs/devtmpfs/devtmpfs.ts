// devtmpfs: the tree of device nodes at /dev, one for all mounts. Drivers name their nodes in deviceNodes (vfs/devices);
// they are made when it is first mounted, and by addDeviceNode when a device comes later.
import { failed, type Failure } from '../../abi/errno.ts';
import type { Kernel } from '../../state.ts';
import { deviceNodes, type DeviceNode } from '../vfs/devices.ts';
import { inodeOperations, type Inode } from '../vfs/inode.ts';
import { fileSystemTypes, type SuperBlock } from '../vfs/super-block.ts';
import { memoryOperations } from '../tmpfs/inodes.ts';
import { memoryStatfs, mountMemory, TMPFS_MAGIC } from '../tmpfs/tmpfs.ts';

const ROOT = { uid: 0, gid: 0 };

function findDevtmpfs(kernel: Kernel): SuperBlock | undefined {
  for (const superBlock of kernel.vfs.superBlocks.values())
    if (superBlock.fs === 'devtmpfs') return superBlock;
  return undefined;
}

function child(kernel: Kernel, directory: Inode, name: string): Inode | undefined {
  const found = memoryOperations.lookup(kernel, directory, name);
  return failed(found) ? undefined : found;
}

function make(kernel: Kernel, root: Inode, node: DeviceNode): number | Failure {
  const names = node.path.split('/');
  const last = names.pop() ?? '';
  let directory = root;
  for (const name of names) {
    const next =
      child(kernel, directory, name) ?? memoryOperations.mkdir?.(kernel, directory, name, 0o755, ROOT);
    if (next === undefined) return 0;
    if (failed(next)) return next;
    directory = next;
  }
  if (child(kernel, directory, last) !== undefined) return 0;
  const owner = { uid: 0, gid: node.gid ?? 0 };
  const made =
    memoryOperations.mknod?.(kernel, directory, last, node.kind, node.mode, node.device, owner) ?? 0;
  return failed(made) ? made : 0;
}

/** Symbolic links and directories that udev would make. */
function makeCustomary(kernel: Kernel, root: Inode): void {
  const links = {
    fd: '/proc/self/fd',
    stdin: '/proc/self/fd/0',
    stdout: '/proc/self/fd/1',
    stderr: '/proc/self/fd/2',
  };
  for (const [name, target] of Object.entries(links))
    memoryOperations.symlink?.(kernel, root, name, target, ROOT);
  memoryOperations.mkdir?.(kernel, root, 'pts', 0o755, ROOT);
  memoryOperations.mkdir?.(kernel, root, 'shm', 0o1777, ROOT);
}

inodeOperations['devtmpfs'] = memoryOperations;
fileSystemTypes['devtmpfs'] = {
  name: 'devtmpfs',
  needsDevice: false,
  magic: TMPFS_MAGIC,
  statfs: (_kernel, superBlock) => memoryStatfs(superBlock, TMPFS_MAGIC),
  mount(kernel, request) {
    const existing = findDevtmpfs(kernel);
    if (existing !== undefined) return existing;
    const superBlock = mountMemory(kernel, 'devtmpfs', request, true, 0o755);
    if (failed(superBlock) || superBlock.root === null) return superBlock;
    superBlock.mounts = 1; // never goes away: what drivers made must be there at the next mount
    for (const nodes of Object.values(deviceNodes))
      for (const node of nodes(kernel)) make(kernel, superBlock.root, node);
    makeCustomary(kernel, superBlock.root);
    return superBlock;
  },
};

deviceNodes['disks'] = (kernel) =>
  [...kernel.block.devices.values()].map((disk) => ({
    path: disk.name, kind: 'block', device: disk.device, mode: 0o660, gid: 6,
  })); // prettier-ignore
