// wait4 and waitid.
import { EINVAL, ESRCH, failed, type Failure } from '../abi/errno.ts';
import { writeRusage } from '../abi/resource.ts';
import { SIGCHLD } from '../abi/signal.ts';
import { P_ALL, P_PGID, P_PID, P_PIDFD, WAIT } from '../abi/wait.ts';
import { put32 } from '../lib/bytes.ts';
import { storeUser32, writeUser } from '../mm/user-memory.ts';
import { processOfPidfd } from '../process/pidfd.ts';
import { finishWait, waitForChild, type ChildReport, type WaitRequest } from '../process/wait.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FLAGS, INT, POINTER, syscall } from './declare.ts';

const WAIT4_OPTIONS =
  (WAIT.NOHANG | WAIT.UNTRACED | WAIT.CONTINUED | WAIT.NOTHREAD | WAIT.CLONE | WAIT.ALL) >>> 0;
const WAITID_OPTIONS = (WAIT4_OPTIONS | WAIT.EXITED | WAIT.NOWAIT) >>> 0;
const INT_MIN = -0x8000_0000;

/** Which children a wait4 means. */
function wait4Request(task: Task, pid: number, options: number): WaitRequest {
  if (pid === -1) return { who: 'all', id: 0, options };
  if (pid < 0) return { who: 'group', id: -pid, options };
  return pid === 0 ? { who: 'group', id: task.process.pgid, options } : { who: 'pid', id: pid, options };
}

export const wait4 = syscall({
  number: 61,
  name: 'wait4',
  args: { pid: INT, status: POINTER, options: FLAGS, usage: POINTER },
  run(kernel, task, { pid, status, options, usage }) {
    if ((options & ~WAIT4_OPTIONS) !== 0) return EINVAL;
    if (pid === INT_MIN) return ESRCH;
    const asked = (options | WAIT.EXITED) >>> 0;
    const report = waitForChild(kernel, task, wait4Request(task, pid, asked));
    if (report === 'none') return 0;
    if (failed(report)) return report;
    const told = tellUsage(kernel, task, report, usage);
    if (failed(told)) return told;
    const stored = status === 0 ? 0 : storeUser32(kernel, task, status, report.status);
    if (failed(stored)) return stored;
    finishWait(kernel, task, report, asked);
    return report.pid;
  },
});

function tellUsage(kernel: Kernel, task: Task, report: ChildReport, usage: number): number | Failure {
  return usage === 0 ? 0 : writeUser(kernel, task, usage, writeRusage(report.usage));
}

function waitidRequest(task: Task, idType: number, id: number, options: number): WaitRequest | Failure {
  if (idType === P_ALL) return { who: 'all', id: 0, options };
  if (idType === P_PID) return id <= 0 ? EINVAL : { who: 'pid', id, options };
  if (idType === P_PGID)
    return id < 0 ? EINVAL : { who: 'group', id: id === 0 ? task.process.pgid : id, options };
  if (idType !== P_PIDFD || id < 0) return EINVAL;
  const process = processOfPidfd(task, id);
  return failed(process) ? process : { who: 'pid', id: process.pid, options };
}

export const waitid = syscall({
  number: 247,
  name: 'waitid',
  args: { idType: INT, id: INT, info: POINTER, options: FLAGS, usage: POINTER },
  run(kernel, task, { idType, id, info, options, usage }) {
    if ((options & ~WAITID_OPTIONS) !== 0) return EINVAL;
    if ((options & (WAIT.EXITED | WAIT.UNTRACED | WAIT.CONTINUED)) === 0) return EINVAL;
    const request = waitidRequest(task, idType, id, options);
    if (failed(request)) return request;
    const report = waitForChild(kernel, task, request);
    if (failed(report)) return report;
    if (report === 'none') return info === 0 ? 0 : successOf(writeUser(kernel, task, info, siginfoOf(null)));
    const told = tellUsage(kernel, task, report, usage);
    if (failed(told)) return told;
    const written = info === 0 ? 0 : writeUser(kernel, task, info, siginfoOf(report));
    if (failed(written)) return written;
    finishWait(kernel, task, report, options);
    return 0;
  },
});

const successOf = (result: number | Failure): number | Failure => (failed(result) ? result : 0);

/** waitid fills only these members of the siginfo; the rest of the program's memory stays as it is. */
function siginfoOf(report: ChildReport | null): Uint8Array {
  const bytes = new Uint8Array(28);
  if (report === null) return bytes;
  put32(bytes, 0, SIGCHLD);
  put32(bytes, 8, report.code);
  put32(bytes, 16, report.pid);
  put32(bytes, 20, report.uid);
  put32(bytes, 24, report.value);
  return bytes;
}
