// The system as a whole, and odds and ends of a task: uname sysinfo syslog reboot getrandom arch_prctl rseq membarrier …
import { EBUSY, EINTR, EINVAL, ENODEV, EPERM, ESRCH, failed, type Failure } from '../abi/errno.ts';
import { CAP } from '../abi/capability.ts';
import { O } from '../abi/open-flags.ts';
import { ARCH } from '../abi/prctl.ts';
import { RSEQ_BYTES, RSEQ_CPU_UNINITIALIZED, RSEQ_FLAG_UNREGISTER } from '../abi/rseq.ts';
import {
  GRND, MEMBARRIER, MEMBARRIER_ALL, REBOOT, REBOOT_MAGIC1, REBOOT_MAGIC2, UTS_NAME_MAX, writeSysinfo, writeUtsname,
} from '../abi/system.ts'; // prettier-ignore
import { KERNEL_VERSION } from '../abi/version.ts';
import { fileOf, installFile } from '../fs/vfs/file-table.ts';
import { getFile, putFile } from '../fs/vfs/open-file.ts';
import { latin1, put32 } from '../lib/bytes.ts';
import { randomFill } from '../lib/random.ts';
import { REGISTER, readRegisterBig, writeRegister } from '../machine/index.ts';
import { OWNER } from '../mm/memory-state.ts';
import { faultInUser, readUser, storeUserBig, writeUser } from '../mm/user-memory.ts';
import { capable, maySignal } from '../process/credentials.ts';
import { openPidfd, processOfPidfd } from '../process/pidfd.ts';
import { LOG_BUFFER_BYTES, readNewLog, readWholeLog, unreadBytes } from '../process/syslog.ts';
import type { Task } from '../sched/task.ts';
import { findProcess } from '../signal/groups.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { printk } from '../trace/printk.ts';
import { FD, FLAGS, INT, POINTER, SIZE, UINT, syscall } from './declare.ts';

export { prctl } from './prctl.ts';

const USER_END = 0x7fff_ffff_f000;

export const uname = syscall({
  number: 63,
  name: 'uname',
  args: { name: POINTER },
  run(kernel, task, { name }) {
    const { sysname, release, version, machine } = KERNEL_VERSION;
    const { hostname, domainname } = kernel.process;
    const written = writeUser(
      kernel,
      task,
      name,
      writeUtsname([sysname, hostname, release, version, machine, domainname]),
    );
    return failed(written) ? written : 0;
  },
});

/** sethostname and setdomainname. */
function readName(kernel: Kernel, task: Task, address: number, length: number): string | Failure {
  if (!capable(task, CAP.SYS_ADMIN)) return EPERM;
  if (length < 0 || length > UTS_NAME_MAX) return EINVAL;
  const bytes = readUser(kernel, task, address, length);
  if (failed(bytes)) return bytes;
  const text = latin1(bytes);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

export const sethostname = syscall({
  number: 170,
  name: 'sethostname',
  args: { name: POINTER, length: INT },
  run(kernel, task, { name, length }) {
    const text = readName(kernel, task, name, length);
    if (failed(text)) return text;
    kernel.process.hostname = text;
    return 0;
  },
});

export const setdomainname = syscall({
  number: 171,
  name: 'setdomainname',
  args: { name: POINTER, length: INT },
  run(kernel, task, { name, length }) {
    const text = readName(kernel, task, name, length);
    if (failed(text)) return text;
    kernel.process.domainname = text;
    return 0;
  },
});

export const sysinfo = syscall({
  number: 99,
  name: 'sysinfo',
  args: { info: POINTER },
  run(kernel, task, { info }) {
    const { memory } = kernel;
    const { shmem, buffers } = cachePages(kernel);
    const bytes = writeSysinfo({
      uptimeSeconds: Math.ceil(now(kernel) / 1e9), loads: kernel.sched.loadAverages, totalPages: memory.managedPages,
      freePages: memory.freePages, sharedPages: shmem, bufferPages: buffers, totalSwapPages: memory.swap.totalSlots,
      freeSwapPages: memory.swap.freeSlots, processes: kernel.tasks.size,
    }); // prettier-ignore
    const written = writeUser(kernel, task, info, bytes);
    return failed(written) ? written : 0;
  },
});

/** Pages of shared memory and of block devices' caches. */
function cachePages(kernel: Kernel): { shmem: number; buffers: number } {
  let shmem = 0;
  let buffers = 0;
  for (const owner of kernel.memory.owner) {
    if (owner === OWNER.shmem) shmem++;
    if (owner === OWNER.buffers) buffers++;
  }
  return { shmem, buffers };
}

const SYSLOG = { CLOSE: 0, OPEN: 1, READ: 2, READ_ALL: 3, READ_CLEAR: 4, CLEAR: 5, CONSOLE_OFF: 6, CONSOLE_ON: 7, CONSOLE_LEVEL: 8, SIZE_UNREAD: 9, SIZE_BUFFER: 10 } as const; // prettier-ignore

export const syslog = syscall({
  number: 103,
  name: 'syslog',
  args: { type: INT, buffer: POINTER, length: INT },
  missing: 'console levels are accepted and change nothing',
  run(kernel, task, { type, buffer, length }) {
    if (!capable(task, CAP.SYSLOG) && !capable(task, CAP.SYS_ADMIN)) return EPERM; // dmesg_restrict is 1 on Debian
    const reads = type === SYSLOG.READ || type === SYSLOG.READ_ALL || type === SYSLOG.READ_CLEAR;
    if (reads && (buffer === 0 || length < 0)) return EINVAL;
    if (reads && length === 0) return 0;
    switch (type) {
      case SYSLOG.CLOSE:
      case SYSLOG.OPEN:
      case SYSLOG.CONSOLE_OFF:
      case SYSLOG.CONSOLE_ON:
        return 0;
      case SYSLOG.READ:
        return takeLog(kernel, task, buffer, length);
      case SYSLOG.READ_ALL:
      case SYSLOG.READ_CLEAR: {
        const bytes = readWholeLog(kernel, length);
        const written = writeUser(kernel, task, buffer, bytes);
        if (failed(written)) return written;
        if (type === SYSLOG.READ_CLEAR) kernel.process.logClearedAt = kernel.log.nextSequence;
        return bytes.length;
      }
      case SYSLOG.CLEAR:
        kernel.process.logClearedAt = kernel.log.nextSequence;
        return 0;
      case SYSLOG.CONSOLE_LEVEL:
        return length < 1 || length > 8 ? EINVAL : 0;
      case SYSLOG.SIZE_UNREAD:
        return unreadBytes(kernel);
      case SYSLOG.SIZE_BUFFER:
        return LOG_BUFFER_BYTES;
      default:
        return EINVAL;
    }
  },
});

function takeLog(kernel: Kernel, task: Task, buffer: number, length: number): number | Failure {
  const taken = readNewLog(kernel, task, length);
  if (failed(taken)) return taken;
  const written = writeUser(kernel, task, buffer, taken.bytes);
  if (failed(written)) return written;
  kernel.process.logReadAt = taken.next;
  return taken.bytes.length;
}

export const reboot = syscall({
  number: 169,
  name: 'reboot',
  args: { magic1: UINT, magic2: UINT, command: UINT, argument: POINTER },
  run(kernel, task, { magic1, magic2, command }) {
    if (!capable(task, CAP.SYS_BOOT)) return EPERM;
    if (magic1 !== REBOOT_MAGIC1 || !REBOOT_MAGIC2.includes(magic2)) return EINVAL;
    switch (command) {
      case REBOOT.RESTART:
      case REBOOT.RESTART2:
        printk(kernel, 0, 'reboot: Restarting system');
        kernel.powerState = 'reboot';
        return 0;
      case REBOOT.HALT:
        printk(kernel, 0, 'reboot: System halted');
        kernel.powerState = 'off';
        return 0;
      case REBOOT.POWER_OFF:
        printk(kernel, 0, 'reboot: Power down');
        kernel.powerState = 'off';
        return 0;
      case REBOOT.CAD_ON:
      case REBOOT.CAD_OFF:
        kernel.process.ctrlAltDelReboots = command === REBOOT.CAD_ON;
        return 0;
      default:
        return EINVAL;
    }
  },
});

const RANDOM_CHUNK = 65_536;
const RANDOM_MAX = 0x1ff_ffff;

export const getrandom = syscall({
  number: 318,
  name: 'getrandom',
  args: { buffer: POINTER, length: SIZE, flags: FLAGS },
  run(kernel, task, { buffer, length, flags }) {
    if (flags > 7 || (flags & (GRND.RANDOM | GRND.INSECURE)) === (GRND.RANDOM | GRND.INSECURE)) return EINVAL;
    const count = Math.min(length, RANDOM_MAX);
    for (let done = 0; done < count; done += RANDOM_CHUNK) {
      const part = Math.min(RANDOM_CHUNK, count - done);
      const reachable = faultInUser(kernel, task, buffer + done, part, 'write');
      if (failed(reachable)) return reachable;
      const bytes = new Uint8Array(part);
      randomFill(kernel.random, bytes);
      const written = writeUser(kernel, task, buffer + done, bytes);
      if (failed(written)) return written;
    }
    return count;
  },
});

export const personality = syscall({
  number: 135,
  name: 'personality',
  args: { persona: UINT },
  run(_kernel, task, { persona }) {
    const old = task.process.personality;
    if (persona !== 0xffff_ffff) task.process.personality = persona;
    return old;
  },
});

export const arch_prctl = syscall({
  number: 158,
  name: 'arch_prctl',
  args: { code: INT, address: POINTER },
  run(kernel, task, { code, address }) {
    const { machine, cpu } = kernel;
    switch (code) {
      case ARCH.SET_FS:
      case ARCH.SET_GS:
        if (address >= USER_END) return EPERM;
        writeRegister(machine, cpu, code === ARCH.SET_FS ? REGISTER.fsBase : REGISTER.gsBase, address);
        return 0;
      case ARCH.GET_FS:
      case ARCH.GET_GS: {
        const base = readRegisterBig(machine, cpu, code === ARCH.GET_FS ? REGISTER.fsBase : REGISTER.gsBase);
        const stored = storeUserBig(kernel, task, address, base);
        return failed(stored) ? stored : 0;
      }
      case ARCH.GET_CPUID:
        return 1;
      case ARCH.SET_CPUID:
        return ENODEV; // the CPU cannot make CPUID fault
      default:
        return EINVAL;
    }
  },
});

export const rseq = syscall({
  number: 334,
  name: 'rseq',
  args: { rseq: POINTER, length: UINT, flags: FLAGS, signature: UINT },
  run(kernel, task, { rseq: address, length, flags, signature }) {
    const registered = task.rseq;
    if ((flags & RSEQ_FLAG_UNREGISTER) !== 0) {
      if (flags !== RSEQ_FLAG_UNREGISTER || registered === null || registered.address !== address)
        return EINVAL;
      if (length !== RSEQ_BYTES) return EINVAL;
      if (registered.signature !== signature) return EPERM;
      const reset = new Uint8Array(16);
      put32(reset, 4, RSEQ_CPU_UNINITIALIZED);
      const written = writeUser(kernel, task, address, reset);
      if (failed(written)) return written;
      task.rseq = null;
      return 0;
    }
    if (flags !== 0) return EINVAL;
    if (registered !== null) {
      if (registered.address !== address || length !== RSEQ_BYTES) return EINVAL;
      return registered.signature === signature ? EBUSY : EPERM;
    }
    if (address % 32 !== 0 || length !== RSEQ_BYTES) return EINVAL;
    const reachable = faultInUser(kernel, task, address, RSEQ_BYTES, 'write');
    if (failed(reachable)) return reachable;
    task.rseq = { address, length, signature, switches: -1 }; // brought up to date before user code runs again
    return 0;
  },
});

export const membarrier = syscall({
  number: 324,
  name: 'membarrier',
  args: { command: INT, flags: FLAGS, cpu: INT },
  missing: 'MEMBARRIER_CMD_*_RSEQ',
  run(_kernel, task, { command, flags }) {
    if (flags !== 0) return EINVAL;
    const { process } = task;
    // CPUs take turns between instructions, so every access is ordered already; only the protocol is left to keep.
    switch (command) {
      case MEMBARRIER.QUERY:
        return MEMBARRIER_ALL;
      case MEMBARRIER.GLOBAL:
      case MEMBARRIER.GLOBAL_EXPEDITED:
        return 0;
      case MEMBARRIER.REGISTER_GLOBAL_EXPEDITED:
      case MEMBARRIER.REGISTER_PRIVATE_EXPEDITED:
      case MEMBARRIER.REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
        process.membarrier |= command;
        return 0;
      case MEMBARRIER.PRIVATE_EXPEDITED:
      case MEMBARRIER.PRIVATE_EXPEDITED_SYNC_CORE:
        return (process.membarrier & (command * 2)) === 0 ? EPERM : 0;
      default:
        return EINVAL;
    }
  },
});

const KCMP = { FILE: 0, VM: 1, FILES: 2, FS: 3, SIGHAND: 4, IO: 5, SYSVSEM: 6 } as const;
const DIFFERENT = 3; // not equal, and no order between them

export const kcmp = syscall({
  number: 312,
  name: 'kcmp',
  args: { pid1: INT, pid2: INT, type: INT, index1: SIZE, index2: SIZE },
  run(kernel, task, { pid1, pid2, type, index1, index2 }) {
    const one = kernel.tasks.get(pid1);
    const two = kernel.tasks.get(pid2);
    if (one === undefined || two === undefined) return ESRCH;
    if (!maySignal(task, one) || !maySignal(task, two)) return EPERM;
    const answer = (same: boolean): number => (same ? 0 : DIFFERENT);
    switch (type) {
      case KCMP.FILE: {
        const [a, b] = [fileOf(one, index1), fileOf(two, index2)];
        if (failed(a)) return a;
        return failed(b) ? b : answer(a === b);
      }
      case KCMP.VM:
        return answer(one.mm === two.mm);
      case KCMP.FILES:
        return answer(one.files === two.files);
      case KCMP.FS:
        return answer(one.fs === two.fs);
      case KCMP.SIGHAND:
        return answer(one.sighand === two.sighand);
      case KCMP.IO:
      case KCMP.SYSVSEM:
        return answer(one.process === two.process);
      default:
        return EINVAL;
    }
  },
});

export const pidfd_open = syscall({
  number: 434,
  name: 'pidfd_open',
  args: { pid: INT, flags: FLAGS },
  run(kernel, task, { pid, flags }) {
    if ((flags & ~O.NONBLOCK) !== 0 || pid <= 0) return EINVAL;
    const process = findProcess(kernel, pid);
    if (process === undefined) return kernel.tasks.has(pid) ? EINVAL : ESRCH;
    return openPidfd(kernel, task, process, (flags & O.NONBLOCK) !== 0);
  },
});

export const pidfd_getfd = syscall({
  number: 438,
  name: 'pidfd_getfd',
  args: { pidfd: FD, fd: FD, flags: FLAGS },
  run(kernel, task, { pidfd, fd, flags }) {
    if (flags !== 0) return EINVAL;
    const process = processOfPidfd(task, pidfd);
    if (failed(process)) return process;
    const target = kernel.tasks.get(process.pid);
    if (target === undefined || process.dead) return ESRCH;
    if (!maySignal(task, target) && !capable(task, CAP.SYS_PTRACE)) return EPERM;
    const file = fileOf(target, fd);
    if (failed(file)) return file;
    getFile(file);
    const installed = installFile(kernel, task, file, true);
    if (failed(installed)) putFile(kernel, file);
    return installed;
  },
});

export const restart_syscall = syscall({
  number: 219,
  name: 'restart_syscall',
  args: {},
  // Interrupted calls start again under their own number here, with their deadline kept.
  run: () => EINTR,
});
