// Scheduling: nice values, policies, affinity, yielding (kernel/sched/core.c).
import { E2BIG, EACCES, EFAULT, EINVAL, EPERM, ESRCH, failed, type Failure } from '../abi/errno.ts';
import { CAP } from '../abi/capability.ts';
import { PRIO_PGRP, PRIO_PROCESS, PRIO_USER, RLIMIT } from '../abi/resource.ts';
import {
  SCHED_ATTR_BYTES, SCHED_ATTR_SIZE_MIN, SCHED_RESET_ON_FORK, policyNamed, policyNumbers, readSchedAttr, writeSchedAttr,
} from '../abi/scheduling.ts'; // prettier-ignore
import { writeTimespec } from '../abi/time.ts';
import { get32, put32 } from '../lib/bytes.ts';
import { readUser, storeUser32, writeUser } from '../mm/user-memory.ts';
import { capable } from '../process/credentials.ts';
import { rlimitOf } from '../process/rlimits.ts';
import { setAffinity, setNice, setPolicy, yieldCpu } from '../sched/core.ts';
import type { PolicyName } from '../sched/entity.ts';
import type { Task } from '../sched/task.ts';
import { groupMembers } from '../signal/groups.ts';
import { threadsOf } from '../signal/send.ts';
import type { Kernel } from '../state.ts';
import { FLAGS, INT, POINTER, UINT, syscall } from './declare.ts';

const RR_SLICE_NS = 100_000_000;
const FAIR_SLICE_NS = 3_000_000;

export const sched_yield = syscall({
  number: 24,
  name: 'sched_yield',
  args: {},
  run(kernel, task) {
    yieldCpu(kernel, task);
    return 0;
  },
});

/** Tasks that getpriority and setpriority mean. */
function targets(kernel: Kernel, task: Task, which: number, who: number): Task[] | Failure {
  if (which < PRIO_PROCESS || which > PRIO_USER) return EINVAL;
  if (which === PRIO_PROCESS) {
    const target = who === 0 ? task : kernel.tasks.get(who);
    return target === undefined ? [] : [target];
  }
  if (which === PRIO_PGRP) {
    const pgid = who === 0 ? task.process.pgid : who;
    return groupMembers(kernel, pgid).flatMap((process) => threadsOf(kernel, process));
  }
  const uid = who === 0 ? task.credentials.uid : who;
  return [...kernel.tasks.values()].filter((other) => other.credentials.uid === uid);
}

const ownsTask = (task: Task, target: Task): boolean =>
  task.credentials.euid === target.credentials.uid || task.credentials.euid === target.credentials.euid;

/** RLIMIT_NICE lets a task go down to 20 - limit. */
function mayNice(task: Task, target: Task, nice: number): boolean {
  return 20 - nice <= rlimitOf(target.process, RLIMIT.NICE) || capable(task, CAP.SYS_NICE);
}

export const getpriority = syscall({
  number: 140,
  name: 'getpriority',
  args: { which: INT, who: INT },
  run(kernel, task, { which, who }) {
    const found = targets(kernel, task, which, who);
    if (failed(found)) return found;
    return found.length === 0 ? ESRCH : Math.max(...found.map((target) => 20 - target.sched.nice));
  },
});

export const setpriority = syscall({
  number: 141,
  name: 'setpriority',
  args: { which: INT, who: INT, nice: INT },
  run(kernel, task, { which, who, nice: asked }) {
    const found = targets(kernel, task, which, who);
    if (failed(found)) return found;
    const nice = Math.max(-20, Math.min(19, asked));
    let result: number | Failure = ESRCH;
    for (const target of found) {
      const set = renice(kernel, task, target, nice);
      if (failed(set)) result = set;
      else if (result === ESRCH) result = 0;
    }
    return result;
  },
});

function renice(kernel: Kernel, task: Task, target: Task, nice: number): number | Failure {
  if (!ownsTask(task, target) && !capable(task, CAP.SYS_NICE)) return EPERM;
  if (nice < target.sched.nice && !mayNice(task, target, nice)) return EACCES;
  setNice(kernel, target, nice);
  return 0;
}

const targetOf = (kernel: Kernel, task: Task, pid: number): Task | undefined =>
  pid === 0 ? task : kernel.tasks.get(pid);

function affinityOf(kernel: Kernel, target: Task): number {
  const online = 2 ** kernel.config.cpuCount - 1;
  return (target.sched.affinity & online) >>> 0;
}

export const sched_getaffinity = syscall({
  number: 204,
  name: 'sched_getaffinity',
  args: { pid: INT, size: UINT, mask: POINTER },
  run(kernel, task, { pid, size, mask }) {
    if (size * 8 < kernel.config.cpuCount || size % 8 !== 0) return EINVAL;
    const target = targetOf(kernel, task, pid);
    if (target === undefined) return ESRCH;
    const bytes = new Uint8Array(8);
    put32(bytes, 0, affinityOf(kernel, target));
    const written = writeUser(kernel, task, mask, bytes);
    return failed(written) ? written : 8;
  },
});

export const sched_setaffinity = syscall({
  number: 203,
  name: 'sched_setaffinity',
  args: { pid: INT, size: UINT, mask: POINTER },
  run(kernel, task, { pid, size, mask }) {
    const bytes = readUser(kernel, task, mask, Math.min(size, 4));
    if (failed(bytes)) return bytes;
    const target = targetOf(kernel, task, pid);
    if (target === undefined) return ESRCH;
    if (!ownsTask(task, target) && !capable(task, CAP.SYS_NICE)) return EPERM;
    const wanted = (get32(bytes, 0) & (2 ** kernel.config.cpuCount - 1)) >>> 0;
    if (wanted === 0) return EINVAL;
    setAffinity(kernel, target, wanted);
    return 0;
  },
});

interface Wanted {
  readonly policy: PolicyName;
  readonly priority: number;
  readonly nice: number;
  readonly resetOnFork: boolean;
}

const isRealTime = (policy: PolicyName): boolean => policy === 'fifo' || policy === 'rr';

/** __sched_setscheduler's checks, then the change. */
function applyPolicy(kernel: Kernel, task: Task, target: Task, wanted: Wanted): number | Failure {
  const { policy, priority } = wanted;
  if (priority > 99 || isRealTime(policy) !== priority > 0) return EINVAL;
  if (!capable(task, CAP.SYS_NICE)) {
    const limit = rlimitOf(target.process, RLIMIT.RTPRIO);
    if (isRealTime(policy) && (limit === 0 || (priority > target.sched.rtPriority && priority > limit)))
      return EPERM;
    if (!isRealTime(policy) && wanted.nice < target.sched.nice && !mayNice(task, target, wanted.nice))
      return EPERM;
    if (!ownsTask(task, target) || (target.sched.resetOnFork && !wanted.resetOnFork)) return EPERM;
  }
  setPolicy(kernel, target, policy, priority, isRealTime(policy) ? target.sched.nice : wanted.nice);
  target.sched.resetOnFork = wanted.resetOnFork;
  return 0;
}

/** A policy word as programs pass it: number and SCHED_RESET_ON_FORK. */
function policyOf(word: number): { policy: PolicyName; resetOnFork: boolean } | undefined {
  const policy = policyNamed(word & ~SCHED_RESET_ON_FORK);
  if (policy === undefined || policy === 'deadline') return undefined;
  return { policy, resetOnFork: (word & SCHED_RESET_ON_FORK) !== 0 };
}

export const sched_setscheduler = syscall({
  number: 144,
  name: 'sched_setscheduler',
  args: { pid: INT, policy: INT, parameters: POINTER },
  run(kernel, task, { pid, policy: word, parameters }) {
    if (pid < 0 || word < 0 || parameters === 0) return EINVAL;
    const bytes = readUser(kernel, task, parameters, 4);
    if (failed(bytes)) return bytes;
    const target = targetOf(kernel, task, pid);
    if (target === undefined) return ESRCH;
    const policy = policyOf(word);
    if (policy === undefined) return EINVAL;
    return applyPolicy(kernel, task, target, {
      ...policy,
      priority: get32(bytes, 0),
      nice: target.sched.nice,
    });
  },
});

export const sched_setparam = syscall({
  number: 142,
  name: 'sched_setparam',
  args: { pid: INT, parameters: POINTER },
  run(kernel, task, { pid, parameters }) {
    if (pid < 0 || parameters === 0) return EINVAL;
    const bytes = readUser(kernel, task, parameters, 4);
    if (failed(bytes)) return bytes;
    const target = targetOf(kernel, task, pid);
    if (target === undefined) return ESRCH;
    const { policy, resetOnFork, nice } = target.sched;
    return applyPolicy(kernel, task, target, { policy, resetOnFork, nice, priority: get32(bytes, 0) });
  },
});

export const sched_getscheduler = syscall({
  number: 145,
  name: 'sched_getscheduler',
  args: { pid: INT },
  run(kernel, task, { pid }) {
    const target = pid < 0 ? EINVAL : (targetOf(kernel, task, pid) ?? ESRCH);
    if (typeof target === 'number') return target;
    return policyNumbers[target.sched.policy] + (target.sched.resetOnFork ? SCHED_RESET_ON_FORK : 0);
  },
});

export const sched_getparam = syscall({
  number: 143,
  name: 'sched_getparam',
  args: { pid: INT, parameters: POINTER },
  run(kernel, task, { pid, parameters }) {
    if (pid < 0 || parameters === 0) return EINVAL;
    const target = targetOf(kernel, task, pid);
    if (target === undefined) return ESRCH;
    const stored = storeUser32(kernel, task, parameters, target.sched.rtPriority);
    return failed(stored) ? stored : 0;
  },
});

export const sched_setattr = syscall({
  number: 314,
  name: 'sched_setattr',
  args: { pid: INT, attributes: POINTER, flags: FLAGS },
  missing: 'SCHED_DEADLINE, utilisation clamps',
  run(kernel, task, { pid, attributes, flags }) {
    if (attributes === 0 || pid < 0 || flags !== 0) return EINVAL;
    const sizeBytes = readUser(kernel, task, attributes, 4);
    if (failed(sizeBytes)) return sizeBytes;
    const size = get32(sizeBytes, 0) === 0 ? SCHED_ATTR_SIZE_MIN : get32(sizeBytes, 0);
    if (size < SCHED_ATTR_SIZE_MIN || size > 4096) return E2BIG;
    const bytes = readUser(kernel, task, attributes, size);
    if (failed(bytes)) return bytes;
    if (bytes.subarray(SCHED_ATTR_BYTES).some((byte) => byte !== 0)) return E2BIG;
    const target = targetOf(kernel, task, pid);
    if (target === undefined) return ESRCH;
    const wanted = readSchedAttr(bytes);
    const policy = policyOf(wanted.policy);
    if (policy === undefined || wanted.nice < -20 || wanted.nice > 19) return EINVAL;
    const resetOnFork = (wanted.flags & 1) !== 0;
    return applyPolicy(kernel, task, target, {
      policy: policy.policy,
      priority: wanted.priority,
      nice: wanted.nice,
      resetOnFork,
    });
  },
});

export const sched_getattr = syscall({
  number: 315,
  name: 'sched_getattr',
  args: { pid: INT, attributes: POINTER, size: UINT, flags: FLAGS },
  run(kernel, task, { pid, attributes, size, flags }) {
    if (attributes === 0 || pid < 0 || size > 4096 || size < SCHED_ATTR_SIZE_MIN || flags !== 0)
      return EINVAL;
    const target = targetOf(kernel, task, pid);
    if (target === undefined) return ESRCH;
    const { policy, nice, rtPriority, resetOnFork } = target.sched;
    const bytes = writeSchedAttr({
      size: Math.min(size, SCHED_ATTR_BYTES), policy: policyNumbers[policy], flags: resetOnFork ? 1 : 0,
      nice: isRealTime(policy) ? 0 : nice, priority: rtPriority, runtimeNs: 0, deadlineNs: 0, periodNs: 0,
    }); // prettier-ignore
    const written = writeUser(kernel, task, attributes, bytes.subarray(0, Math.min(size, SCHED_ATTR_BYTES)));
    return failed(written) ? written : 0;
  },
});

function priorityLimit(word: number, realTime: number): number | Failure {
  const policy = policyNamed(word);
  if (policy === undefined) return EINVAL;
  return isRealTime(policy) ? realTime : 0;
}

export const sched_get_priority_max = syscall({
  number: 146,
  name: 'sched_get_priority_max',
  args: { policy: INT },
  run: (_kernel, _task, { policy }) => priorityLimit(policy, 99),
});

export const sched_get_priority_min = syscall({
  number: 147,
  name: 'sched_get_priority_min',
  args: { policy: INT },
  run: (_kernel, _task, { policy }) => priorityLimit(policy, 1),
});

export const sched_rr_get_interval = syscall({
  number: 148,
  name: 'sched_rr_get_interval',
  args: { pid: INT, interval: POINTER },
  run(kernel, task, { pid, interval }) {
    if (pid < 0) return EINVAL;
    const target = targetOf(kernel, task, pid);
    if (target === undefined) return ESRCH;
    const { policy } = target.sched;
    const sliceNs = policy === 'rr' ? RR_SLICE_NS : policy === 'fifo' ? 0 : FAIR_SLICE_NS;
    const written = writeUser(kernel, task, interval, writeTimespec(sliceNs));
    return failed(written) ? written : 0;
  },
});

export const getcpu = syscall({
  number: 309,
  name: 'getcpu',
  args: { cpu: POINTER, node: POINTER, cache: POINTER },
  run(kernel, task, { cpu, node }) {
    for (const [address, value] of [[cpu, kernel.cpu], [node, 0]] as const) {
      if (address !== 0 && failed(storeUser32(kernel, task, address, value))) return EFAULT;
    } // prettier-ignore
    return 0;
  },
});

const IOPRIO_WHO_PROCESS = 1;
const IOPRIO_WHO_USER = 3;

export const ioprio_get = syscall({
  number: 252,
  name: 'ioprio_get',
  args: { which: INT, who: INT },
  run(kernel, task, { which, who }) {
    if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER) return EINVAL;
    const found = targets(kernel, task, which - 1, who);
    if (failed(found)) return found;
    const first = found[0];
    return first === undefined ? ESRCH : first.process.ioPriority;
  },
});

export const ioprio_set = syscall({
  number: 251,
  name: 'ioprio_set',
  args: { which: INT, who: INT, priority: INT },
  missing: 'priorities of single threads: they hold for the process',
  run(kernel, task, { which, who, priority }) {
    const ioClass = priority >> 13;
    const level = priority & 0x1fff;
    if (ioClass > 3 || priority < 0 || (ioClass === 0 && level !== 0)) return EINVAL;
    if (ioClass === 1 && !capable(task, CAP.SYS_ADMIN) && !capable(task, CAP.SYS_NICE)) return EPERM;
    if ((ioClass === 1 || ioClass === 2) && level > 7) return EINVAL;
    if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER) return EINVAL;
    const found = targets(kernel, task, which - 1, who);
    if (failed(found)) return found;
    if (found.length === 0) return ESRCH;
    for (const target of found) {
      if (!ownsTask(task, target) && !capable(task, CAP.SYS_NICE)) return EPERM;
      target.process.ioPriority = priority;
    }
    return 0;
  },
});
