// Memory calls: brk, mmap and its relatives, locking, advice, swap areas, other processes' memory.
import { CAP } from '../abi/capability.ts';
import {
  EACCES, EBUSY, EFAULT, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP, EOVERFLOW, EPERM, ESRCH, failed, type Failure,
} from '../abi/errno.ts'; // prettier-ignore
import { MAP, MLOCK_ONFAULT, MS, PAGE_BYTES, PROT, SWAP_FLAG, USER_END, pageCeil } from '../abi/mman.ts';
import { O } from '../abi/open-flags.ts';
import { fileOf } from '../fs/vfs/file-table.ts';
import { fileOperations } from '../fs/vfs/inode.ts';
import { openPath } from '../fs/vfs/open.ts';
import { allowWriteAccess, denyWriteAccess, putFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { get64 } from '../lib/bytes.ts';
import { readBytes } from '../machine/index.ts';
import { adviseMemory, residentPages } from '../mm/advise.ts';
import { lockAll, lockRange, unlockAll, unlockRange, type LockRights } from '../mm/lock.ts';
import { mapMemory, protectMemory, setBrk, unmapMemory } from '../mm/map.ts';
import type { Mm } from '../mm/mm.ts';
import { readPage } from '../mm/page-cache.ts';
import { remapMemory } from '../mm/remap.ts';
import { swapOff, swapOn } from '../mm/swap-area.ts';
import { readMm, readUser, readUserString, writeMm, writeUser } from '../mm/user-memory.ts';
import { fileReferences, vmaIndex } from '../mm/vma.ts';
import { writeBackSpace } from '../mm/write-back.ts';
import { capable } from '../process/credentials.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, PATH, POINTER, SIZE, syscall } from './declare.ts';

fileReferences.put = putFile;
fileReferences.denyWrite = denyWriteAccess;
fileReferences.allowWrite = allowWriteAccess;

const mmOf = (task: Task): Mm | Failure => task.mm ?? EFAULT;
const rightsOf = (task: Task): LockRights => ({
  limits: task.process.rlimits,
  mayLock: capable(task, CAP.IPC_LOCK),
});

export const brk = syscall({
  number: 12,
  name: 'brk',
  args: { address: POINTER },
  returns: POINTER,
  run(kernel, task, { address }) {
    const mm = mmOf(task);
    return failed(mm) ? mm : setBrk(kernel, mm, address, task.process.rlimits);
  },
});

export const mmap = syscall({
  number: 9,
  name: 'mmap',
  args: { address: POINTER, length: SIZE, protection: FLAGS, flags: FLAGS, fd: FD, offset: SIZE },
  returns: POINTER,
  missing: 'MAP_HUGETLB gives ENOMEM: no huge page is reserved; MAP_SYNC needs a DAX file system',
  run(kernel, task, { address, length, protection, flags, fd, offset }) {
    const mm = mmOf(task);
    if (failed(mm)) return mm;
    if (offset % PAGE_BYTES !== 0) return EINVAL;
    let file: OpenFile | null = null;
    if ((flags & MAP.anonymous) === 0) {
      const open = fileOf(task, fd);
      if (failed(open)) return open;
      file = open;
    }
    if (length === 0) return EINVAL;
    if ((flags & MAP.hugeTlb) !== 0) return ENOMEM;
    const type = flags & MAP.type;
    if (type !== MAP.shared && type !== MAP.private && type !== MAP.sharedValidate) return EINVAL;
    if (type === MAP.sharedValidate && (flags & MAP.sync) !== 0) return EOPNOTSUPP;
    if (offset + pageCeil(length) > 2 ** 63) return EOVERFLOW;
    const map = {
      address,
      length,
      protection,
      flags,
      offset,
      limits: task.process.rlimits,
      mayLock: capable(task, CAP.IPC_LOCK),
    };
    if (file === null) return mapMemory(kernel, mm, { ...map, file: null, offset: 0 });
    return mapFile(kernel, task, mm, file, map);
  },
});

type FileMap = Omit<Parameters<typeof mapMemory>[2], 'file'>;

/** The checks of do_mmap that depend on the file. */
function mapFile(kernel: Kernel, task: Task, mm: Mm, file: OpenFile, map: FileMap): number | Failure {
  const isShared = (map.flags & MAP.shared) !== 0;
  if (isShared && (map.protection & PROT.write) !== 0 && !file.writable) return EACCES;
  if (!file.readable) return EACCES;
  const mount = kernel.vfs.mounts.get(file.mount);
  const isNoExec = ((mount?.flags ?? 0) & MS_NOEXEC) !== 0;
  if (isNoExec && (map.protection & PROT.execute) !== 0) return EPERM;
  const hook = fileOperations[file.operations]?.mmap;
  if (hook === undefined && file.inode.pages === null) return ENODEV;
  if (hook !== undefined) {
    const allowed = hook(kernel, task, file);
    if (failed(allowed)) return allowed;
  }
  return mapMemory(kernel, mm, { ...map, file });
}

const MS_NOEXEC = 8; // include/uapi/linux/mount.h

export const munmap = syscall({
  number: 11,
  name: 'munmap',
  args: { address: POINTER, length: SIZE },
  run(kernel, task, { address, length }) {
    const mm = mmOf(task);
    return failed(mm) ? mm : unmapMemory(kernel, mm, address, length);
  },
});

export const mprotect = syscall({
  number: 10,
  name: 'mprotect',
  args: { address: POINTER, length: SIZE, protection: FLAGS },
  run(kernel, task, { address, length, protection }) {
    const mm = mmOf(task);
    if (failed(mm)) return mm;
    const grows = protection & (PROT.growsDown | PROT.growsUp);
    if (grows === (PROT.growsDown | PROT.growsUp) || (grows & PROT.growsUp) !== 0) return EINVAL;
    if ((protection & ~(grows | PROT.read | PROT.write | PROT.execute | PROT.sem)) !== 0) return EINVAL;
    return protectMemory(kernel, mm, address, length, protection, task.process.rlimits);
  },
});

export const mremap = syscall({
  number: 25,
  name: 'mremap',
  args: { address: POINTER, oldLength: SIZE, newLength: SIZE, flags: FLAGS, newAddress: POINTER },
  returns: POINTER,
  run(kernel, task, request) {
    const mm = mmOf(task);
    return failed(mm) ? mm : remapMemory(kernel, mm, { ...request, limits: task.process.rlimits });
  },
});

export const madvise = syscall({
  number: 28,
  name: 'madvise',
  args: { address: POINTER, length: SIZE, advice: INT },
  missing: 'MADV_FREE frees at once; huge pages and same-page merging are accepted and do nothing',
  run(kernel, task, { address, length, advice }) {
    const mm = mmOf(task);
    return failed(mm) ? mm : adviseMemory(kernel, mm, address, length, advice);
  },
});

export const mincore = syscall({
  number: 27,
  name: 'mincore',
  args: { address: POINTER, length: SIZE, vector: POINTER },
  run(kernel, task, { address, length, vector }) {
    const mm = mmOf(task);
    if (failed(mm)) return mm;
    if (address % PAGE_BYTES !== 0) return EINVAL;
    if (address + length > USER_END) return ENOMEM;
    const pages = residentPages(kernel, mm, address, length);
    if (failed(pages)) return pages;
    const written = writeUser(kernel, task, vector, pages);
    return failed(written) ? written : 0;
  },
});

export const msync = syscall({
  number: 26,
  name: 'msync',
  args: { address: POINTER, length: SIZE, flags: FLAGS },
  run(kernel, task, { address, length, flags }) {
    const mm = mmOf(task);
    if (failed(mm)) return mm;
    if ((flags & ~(MS.async | MS.invalidate | MS.sync)) !== 0 || address % PAGE_BYTES !== 0) return EINVAL;
    if ((flags & MS.async) !== 0 && (flags & MS.sync) !== 0) return EINVAL;
    const end = address + pageCeil(length);
    if (end < address) return ENOMEM;
    let hasHole = false;
    for (let at = address, index = vmaIndex(mm, address); at < end; index++) {
      const vma = mm.vmas[index];
      if (vma === undefined || vma.start >= end) return ENOMEM;
      if (vma.start > at) hasHole = true;
      if ((flags & MS.invalidate) !== 0 && vma.flags.locked) return EBUSY;
      if ((flags & MS.sync) !== 0 && vma.flags.shared && vma.file !== null) {
        const synced = syncFile(kernel, vma.file);
        if (failed(synced)) return synced;
      }
      at = vma.end;
    }
    return hasHole ? ENOMEM : 0;
  },
});

function syncFile(kernel: Kernel, file: OpenFile): number | Failure {
  const { pages } = file.inode;
  const fsync = fileOperations[file.operations]?.fsync;
  if (fsync !== undefined) return fsync(kernel, file, false);
  return pages === null ? 0 : writeBackSpace(kernel, pages, { wait: true });
}

export const mlock = syscall({
  number: 149,
  name: 'mlock',
  args: { address: POINTER, length: SIZE },
  run(kernel, task, { address, length }) {
    const mm = mmOf(task);
    return failed(mm) ? mm : lockRange(kernel, mm, address, length, true, rightsOf(task));
  },
});

export const mlock2 = syscall({
  number: 325,
  name: 'mlock2',
  args: { address: POINTER, length: SIZE, flags: FLAGS },
  run(kernel, task, { address, length, flags }) {
    const mm = mmOf(task);
    if (failed(mm)) return mm;
    if ((flags & ~MLOCK_ONFAULT) !== 0) return EINVAL;
    return lockRange(kernel, mm, address, length, (flags & MLOCK_ONFAULT) === 0, rightsOf(task));
  },
});

export const munlock = syscall({
  number: 150,
  name: 'munlock',
  args: { address: POINTER, length: SIZE },
  run(kernel, task, { address, length }) {
    const mm = mmOf(task);
    return failed(mm) ? mm : unlockRange(kernel, mm, address, length);
  },
});

export const mlockall = syscall({
  number: 151,
  name: 'mlockall',
  args: { flags: FLAGS },
  run(kernel, task, { flags }) {
    const mm = mmOf(task);
    return failed(mm) ? mm : lockAll(kernel, mm, flags, rightsOf(task));
  },
});

export const munlockall = syscall({
  number: 152,
  name: 'munlockall',
  args: {},
  run(kernel, task) {
    const mm = mmOf(task);
    return failed(mm) ? mm : unlockAll(kernel, mm);
  },
});

const SWAP_FLAGS = SWAP_FLAG.prefer | SWAP_FLAG.priorityMask | 0x7_0000;

export const swapon = syscall({
  number: 167,
  name: 'swapon',
  args: { path: PATH, flags: FLAGS },
  missing: 'swap files: only block devices',
  run(kernel, task, { path, flags }) {
    if ((flags & ~SWAP_FLAGS) !== 0) return EINVAL;
    if (!capable(task, CAP.SYS_ADMIN)) return EPERM;
    const name = readUserString(kernel, task, path, 4096);
    if (failed(name)) return name;
    const file = openPath(kernel, task, null, name, O.RDWR);
    if (failed(file)) return file;
    const result = swapOnFile(kernel, file, name, flags);
    putFile(kernel, file);
    return failed(result) ? result : 0;
  },
});

function swapOnFile(kernel: Kernel, file: OpenFile, path: string, flags: number): number | Failure {
  if (file.inode.kind !== 'block') return EINVAL;
  const disk = [...kernel.block.devices.values()].find((candidate) => candidate.device === file.inode.device);
  if (disk === undefined) return EINVAL;
  if (disk.holder !== '') return EBUSY;
  const frame = readPage(kernel, disk.space, 0);
  if (failed(frame)) return frame;
  const header = readBytes(kernel.machine, frame * PAGE_BYTES, PAGE_BYTES);
  const area = swapOn(
    kernel,
    { path, device: disk.name, firstBlock: 0, blockCount: disk.blockCount, header },
    flags,
  );
  if (!failed(area)) disk.holder = 'swap';
  return area;
}

export const swapoff = syscall({
  number: 168,
  name: 'swapoff',
  args: { path: PATH },
  run(kernel, task, { path }) {
    if (!capable(task, CAP.SYS_ADMIN)) return EPERM;
    const name = readUserString(kernel, task, path, 4096);
    if (failed(name)) return name;
    const file = openPath(kernel, task, null, name, O.RDWR);
    if (failed(file)) return file;
    const { device, kind } = file.inode;
    putFile(kernel, file);
    const disk = [...kernel.block.devices.values()].find(
      (candidate) => kind === 'block' && candidate.device === device,
    );
    const area = kernel.memory.swap.areas.find(
      (candidate) => candidate !== null && candidate.device === disk?.name,
    );
    if (disk === undefined || area === undefined || area === null) return EINVAL;
    const result = swapOff(kernel, area.index);
    if (!failed(result)) disk.holder = '';
    return result;
  },
});

const IOV_MAX = 1024;
interface Range {
  readonly address: number;
  readonly length: number;
}

function readRanges(kernel: Kernel, task: Task, address: number, count: number): Range[] | Failure {
  if (count > IOV_MAX) return EINVAL;
  const bytes = readUser(kernel, task, address, count * 16);
  if (failed(bytes)) return bytes;
  const ranges: Range[] = [];
  for (let i = 0; i < count; i++)
    ranges.push({ address: get64(bytes, i * 16), length: get64(bytes, i * 16 + 8) });
  return ranges.some(({ length }) => length >= 2 ** 63) ? EINVAL : ranges;
}

/** The memory of another process that the task may trace (ptrace_may_access). */
function remoteMm(kernel: Kernel, task: Task, pid: number): { target: Task; mm: Mm } | Failure {
  const target = kernel.tasks.get(pid);
  if (target === undefined || target.mm === null) return ESRCH;
  const mine = task.credentials;
  const theirs = target.credentials;
  const sameUser = [theirs.uid, theirs.euid, theirs.suid].every((uid) => uid === mine.uid);
  const sameGroup = [theirs.gid, theirs.egid, theirs.sgid].every((gid) => gid === mine.gid);
  const allowed =
    target.process === task.process ||
    (sameUser && sameGroup && target.mm.dumpable) ||
    capable(task, CAP.SYS_PTRACE);
  return allowed ? { target, mm: target.mm } : EPERM;
}

const CHUNK = 64 * 1024;

function moveBetween(
  kernel: Kernel, task: Task, pid: number, local: readonly Range[], remote: readonly Range[], direction: 'read' | 'write',
): number | Failure {
  const found = remoteMm(kernel, task, pid);
  if (failed(found)) return found;
  let moved = 0;
  let localAt = 0;
  let localDone = 0;
  for (const { address, length } of remote) {
    for (let done = 0; done < length; ) {
      let here = local[localAt];
      while (here !== undefined && localDone === here.length) {
        here = local[++localAt];
        localDone = 0;
      }
      if (here === undefined) return moved;
      const size = Math.min(length - done, here.length - localDone, CHUNK);
      const mine = here.address + localDone;
      const result = direction === 'read'
        ? copyRange(kernel, () => readMm(kernel, found.target, found.mm, address + done, size), (bytes) => writeUser(kernel, task, mine, bytes))
        : copyRange(kernel, () => readUser(kernel, task, mine, size), (bytes) => writeMm(kernel, found.target, found.mm, address + done, bytes));
      if (failed(result)) return result === EFAULT && moved > 0 ? moved : result;
      done += size;
      localDone += size;
      moved += size;
    }
  }
  return moved;
} // prettier-ignore

function copyRange(
  _kernel: Kernel,
  from: () => Uint8Array | Failure,
  to: (bytes: Uint8Array) => number | Failure,
): number | Failure {
  const bytes = from();
  return failed(bytes) ? bytes : to(bytes);
}

const REMOTE_ARGS = {
  pid: INT,
  local: POINTER,
  localCount: SIZE,
  remote: POINTER,
  remoteCount: SIZE,
  flags: SIZE,
} as const;
type RemoteArgs = { readonly [K in keyof typeof REMOTE_ARGS]: number };

function remoteTransfer(
  kernel: Kernel,
  task: Task,
  args: RemoteArgs,
  direction: 'read' | 'write',
): number | Failure {
  if (args.flags !== 0) return EINVAL;
  const local = readRanges(kernel, task, args.local, args.localCount);
  if (failed(local)) return local;
  const remote = readRanges(kernel, task, args.remote, args.remoteCount);
  if (failed(remote)) return remote;
  return moveBetween(kernel, task, args.pid, local, remote, direction);
}

export const processVmReadv = syscall({
  number: 310,
  name: 'process_vm_readv',
  args: REMOTE_ARGS,
  returns: SIZE,
  run: (kernel, task, args) => remoteTransfer(kernel, task, args, 'read'),
});

export const processVmWritev = syscall({
  number: 311,
  name: 'process_vm_writev',
  args: REMOTE_ARGS,
  returns: SIZE,
  run: (kernel, task, args) => remoteTransfer(kernel, task, args, 'write'),
});
