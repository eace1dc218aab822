// Resource limits and accounts: getrlimit, prlimit64, getrusage (kernel/sys.c).
import { EINVAL, EPERM, ESRCH, failed, type Failure } from '../abi/errno.ts';
import { CAP } from '../abi/capability.ts';
import {
  RLIMIT, RLIMIT_BYTES, RLIMIT_COUNT, RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD, readLimit, writeRlimit, writeRusage,
} from '../abi/resource.ts'; // prettier-ignore
import { readUser, writeUser } from '../mm/user-memory.ts';
import { capable } from '../process/credentials.ts';
import { newUsage, type Rlimit, type Usage } from '../process/process.ts';
import { addUsage, usageOfProcess, usageOfTask } from '../process/usage.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { INT, POINTER, UINT, syscall } from './declare.ts';

/** /proc/sys/fs/nr_open: the most that RLIMIT_NOFILE may be raised to. */
const NR_OPEN = 1_048_576;

/** Changes and shows a limit of a process, in Linux's order of checks (do_prlimit). */
function changeLimit(
  kernel: Kernel,
  task: Task,
  target: Task,
  resource: number,
  set: number,
  old: number,
): number | Failure {
  if (resource >= RLIMIT_COUNT) return EINVAL;
  const limit = target.process.rlimits[resource];
  if (limit === undefined) return EINVAL;
  let wanted: Rlimit | null = null;
  if (set !== 0) {
    const bytes = readUser(kernel, task, set, RLIMIT_BYTES);
    if (failed(bytes)) return bytes;
    wanted = { current: readLimit(bytes, 0), maximum: readLimit(bytes, 8) };
    if (wanted.current > wanted.maximum) return EINVAL;
    if (resource === RLIMIT.NOFILE && wanted.maximum > NR_OPEN) return EPERM;
    if (wanted.maximum > limit.maximum && !capable(task, CAP.SYS_RESOURCE)) return EPERM;
  }
  if (old !== 0) {
    const written = writeUser(kernel, task, old, writeRlimit(limit));
    if (failed(written)) return written;
  }
  if (wanted !== null) target.process.rlimits[resource] = wanted;
  return 0;
}

export const getrlimit = syscall({
  number: 97,
  name: 'getrlimit',
  args: { resource: UINT, limit: POINTER },
  run(kernel, task, { resource, limit }) {
    const shown = task.process.rlimits[resource];
    if (shown === undefined) return EINVAL;
    const written = writeUser(kernel, task, limit, writeRlimit(shown));
    return failed(written) ? written : 0;
  },
});

export const setrlimit = syscall({
  number: 160,
  name: 'setrlimit',
  args: { resource: UINT, limit: POINTER },
  run(kernel, task, { resource, limit }) {
    const bytes = readUser(kernel, task, limit, RLIMIT_BYTES);
    return failed(bytes) ? bytes : changeLimit(kernel, task, task, resource, limit, 0);
  },
});

export const prlimit64 = syscall({
  number: 302,
  name: 'prlimit64',
  args: { pid: INT, resource: UINT, set: POINTER, old: POINTER },
  run(kernel, task, { pid, resource, set, old }) {
    const target = pid === 0 ? task : kernel.tasks.get(pid);
    if (target === undefined) return ESRCH;
    if (target.process !== task.process && !sameUser(task, target) && !capable(task, CAP.SYS_RESOURCE))
      return EPERM;
    return changeLimit(kernel, task, target, resource, set, old);
  },
});

/** Real ids of the caller equal to all ids of the target (check_prlimit_permission). */
function sameUser(task: Task, target: Task): boolean {
  const { uid, gid } = task.credentials;
  const other = target.credentials;
  return (
    [other.euid, other.suid, other.uid].every((id) => id === uid) &&
    [other.egid, other.sgid, other.gid].every((id) => id === gid)
  );
}

function usageFor(kernel: Kernel, task: Task, who: number): Usage | undefined {
  if (who === RUSAGE_CHILDREN) return task.process.childrenUsage;
  if (who === RUSAGE_SELF) return usageOfProcess(kernel, task.process);
  if (who !== RUSAGE_THREAD) return undefined;
  const sum = newUsage();
  addUsage(sum, usageOfTask(task));
  return sum;
}

export const getrusage = syscall({
  number: 98,
  name: 'getrusage',
  args: { who: INT, usage: POINTER },
  run(kernel, task, { who, usage }) {
    const found = usageFor(kernel, task, who);
    if (found === undefined) return EINVAL;
    const written = writeUser(kernel, task, usage, writeRusage(found));
    return failed(written) ? written : 0;
  },
});
