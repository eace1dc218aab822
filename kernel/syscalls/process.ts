// System calls that make tasks, end them, and name them: fork clone exit getpid setsid …
import { E2BIG, EACCES, EINVAL, EPERM, ERESTARTSYS, ESRCH, failed, type Failure } from '../abi/errno.ts';
import { CLONE, CLONE_ARGS_BYTES, CLONE_ARGS_SIZE_MIN, hasFlag, readCloneArgs } from '../abi/clone.ts';
import { exitedStatus } from '../abi/wait.ts';
import { copyFileTable } from '../fs/vfs/file-table.ts';
import { copyFsContext } from '../fs/vfs/fs-context.ts';
import { readUser } from '../mm/user-memory.ts';
import { exitGroup, exitTask } from '../process/exit.ts';
import { FORK, forkTask, vforkIsOver, type ForkRequest } from '../process/fork.ts';
import { installPidfd } from '../process/pidfd.ts';
import { callData } from '../sched/call-progress.ts';
import type { Task, Tid } from '../sched/task.ts';
import { sleepUninterruptible } from '../sched/wait-queue.ts';
import { findProcess, groupMembers } from '../signal/groups.ts';
import { fatalSignalPending } from '../signal/send.ts';
import type { Kernel } from '../state.ts';
import { BIG, FLAGS, INT, POINTER, SIZE, syscall } from './declare.ts';

interface VforkData {
  child: Tid;
}

/** Forks; with CLONE_VFORK sleeps until the child has executed a program or ended. */
function startFork(kernel: Kernel, task: Task, request: ForkRequest, pidfd = 0): number | Failure {
  const waits = hasFlag(request.flags, CLONE.VFORK);
  const data = waits ? callData<VforkData>(task, () => ({ child: 0 })) : { child: 0 };
  if (data.child === 0) {
    const child = forkTask(kernel, task, request);
    if (failed(child)) return child;
    if (hasFlag(request.flags, CLONE.PIDFD)) installPidfd(kernel, task, child, pidfd);
    if (!waits) return child;
    data.child = child;
  }
  if (vforkIsOver(kernel, task, data.child)) return data.child;
  if (fatalSignalPending(task)) return ERESTARTSYS;
  return sleepUninterruptible(kernel, task, task.process.vforkDone, 'kernel_clone');
}

export const fork = syscall({
  number: 57,
  name: 'fork',
  args: {},
  run: (kernel, task) => startFork(kernel, task, FORK),
});

export const vfork = syscall({
  number: 58,
  name: 'vfork',
  args: {},
  run: (kernel, task) => startFork(kernel, task, { ...FORK, flags: CLONE.VFORK + CLONE.VM }),
});

export const clone = syscall({
  number: 56,
  name: 'clone',
  args: { flags: BIG, stack: POINTER, parentTid: POINTER, childTid: POINTER, tls: POINTER },
  missing: 'namespaces (CLONE_NEW*)',
  run(kernel, task, { flags: word, stack, parentTid, childTid, tls }) {
    const low = Number(word & 0xffff_ffffn);
    const flags = low - (low % 0x100);
    if (hasFlag(flags, CLONE.PIDFD) && hasFlag(flags, CLONE.PARENT_SETTID)) return EINVAL; // one address for both
    if (hasFlag(flags, CLONE.PIDFD) && (hasFlag(flags, CLONE.DETACHED) || hasFlag(flags, CLONE.THREAD)))
      return EINVAL;
    return startFork(
      kernel,
      task,
      { flags, exitSignal: low % 0x100, stack, tls, parentTid, childTid },
      parentTid,
    );
  },
});

export const clone3 = syscall({
  number: 435,
  name: 'clone3',
  args: { args: POINTER, size: SIZE },
  missing: 'namespaces (CLONE_NEW*), set_tid, CLONE_INTO_CGROUP',
  run(kernel, task, { args, size }) {
    if (size > 4096) return E2BIG;
    if (size < CLONE_ARGS_SIZE_MIN) return EINVAL;
    const bytes = readUser(kernel, task, args, size);
    if (failed(bytes)) return bytes;
    if (bytes.subarray(CLONE_ARGS_BYTES).some((byte) => byte !== 0)) return E2BIG;
    const wanted = readCloneArgs(bytes);
    const { flags, exitSignal, stack, stackSize } = wanted;
    const refused = checkClone3(wanted);
    if (refused !== undefined) return refused;
    if (wanted.setTidSize > 0) return EPERM; // needs a pid namespace of one's own
    const top = stack === 0 ? 0 : stack + stackSize;
    const { tls, parentTid, childTid, pidfd } = wanted;
    return startFork(kernel, task, { flags, exitSignal, stack: top, tls, parentTid, childTid }, pidfd);
  },
});

const KNOWN_FLAGS = 0x3_ffff_ff80;

function checkClone3(wanted: ReturnType<typeof readCloneArgs>): Failure | undefined {
  const { flags, exitSignal, stack, stackSize } = wanted;
  const has = (flag: number): boolean => hasFlag(flags, flag);
  if (exitSignal > 64) return EINVAL;
  if (flags > KNOWN_FLAGS || flags % 0x80 !== 0 || has(CLONE.INTO_CGROUP) || has(CLONE.DETACHED))
    return EINVAL;
  if ((has(CLONE.THREAD) || has(CLONE.PARENT)) && exitSignal !== 0) return EINVAL;
  if (has(CLONE.PIDFD) && has(CLONE.THREAD)) return EINVAL;
  if ((stack === 0) !== (stackSize === 0)) return EINVAL;
  return stack + stackSize > 0x7fff_ffff_f000 ? EINVAL : undefined;
}

export const exit = syscall({
  number: 60,
  name: 'exit',
  args: { status: INT },
  run: (kernel, task, { status }) => exitTask(kernel, task, exitedStatus(status)),
});

export const exit_group = syscall({
  number: 231,
  name: 'exit_group',
  args: { status: INT },
  run: (kernel, task, { status }) => exitGroup(kernel, task, exitedStatus(status)),
});

export const getpid = syscall({
  number: 39,
  name: 'getpid',
  args: {},
  run: (_kernel, task) => task.process.pid,
});
export const gettid = syscall({ number: 186, name: 'gettid', args: {}, run: (_kernel, task) => task.tid });
export const getppid = syscall({
  number: 110,
  name: 'getppid',
  args: {},
  run: (_kernel, task) => task.process.parent,
});
export const getpgrp = syscall({
  number: 111,
  name: 'getpgrp',
  args: {},
  run: (_kernel, task) => task.process.pgid,
});

export const set_tid_address = syscall({
  number: 218,
  name: 'set_tid_address',
  args: { address: POINTER },
  run(_kernel, task, { address }) {
    task.clearChildTid = address;
    return task.tid;
  },
});

export const getpgid = syscall({
  number: 121,
  name: 'getpgid',
  args: { pid: INT },
  run: (kernel, task, { pid }) => (pid === 0 ? task.process : kernel.tasks.get(pid)?.process)?.pgid ?? ESRCH,
});

export const getsid = syscall({
  number: 124,
  name: 'getsid',
  args: { pid: INT },
  run: (kernel, task, { pid }) => (pid === 0 ? task.process : kernel.tasks.get(pid)?.process)?.sid ?? ESRCH,
});

export const setpgid = syscall({
  number: 109,
  name: 'setpgid',
  args: { pid: INT, pgid: INT },
  run(kernel, task, args) {
    const own = task.process;
    const pid = args.pid === 0 ? own.pid : args.pid;
    const pgid = args.pgid === 0 ? pid : args.pgid;
    if (pgid < 0) return EINVAL;
    const target = findProcess(kernel, pid);
    if (target === undefined) return ESRCH;
    if (target.parent === own.pid) {
      if (target.sid !== own.sid) return EPERM;
      if (target.hasExeced) return EACCES;
    } else if (target !== own) {
      return ESRCH;
    }
    if (target.pid === target.sid) return EPERM; // a session leader stays where it is
    if (pgid !== pid && !groupMembers(kernel, pgid).some((member) => member.sid === own.sid)) return EPERM;
    target.pgid = pgid;
    return 0;
  },
});

export const setsid = syscall({
  number: 112,
  name: 'setsid',
  args: {},
  run(kernel, task) {
    const { process } = task;
    if (process.pid === process.sid || groupMembers(kernel, process.pid).length > 0) return EPERM;
    process.sid = process.pid;
    process.pgid = process.pid;
    process.tty = '';
    return process.pid;
  },
});

export const unshare = syscall({
  number: 272,
  name: 'unshare',
  args: { flags: FLAGS },
  missing: 'namespaces: only CLONE_FS and CLONE_FILES',
  run(kernel, task, { flags }) {
    const known = CLONE.FS + CLONE.FILES + CLONE.SYSVSEM + CLONE.THREAD + CLONE.SIGHAND + CLONE.VM;
    if ((flags & ~known) !== 0) return EINVAL;
    const alone = task.process.threads.size === 1;
    if (!alone && (hasFlag(flags, CLONE.THREAD) || hasFlag(flags, CLONE.SIGHAND) || hasFlag(flags, CLONE.VM)))
      return EINVAL;
    if (hasFlag(flags, CLONE.FS) && task.fs.users > 1) {
      const shared = task.fs;
      task.fs = copyFsContext(kernel, shared);
      shared.users--;
    }
    if (hasFlag(flags, CLONE.FILES) && task.files.users > 1) {
      const shared = task.files;
      task.files = copyFileTable(kernel, shared);
      shared.users--;
    }
    return 0;
  },
});
