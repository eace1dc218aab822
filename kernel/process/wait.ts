// Waiting for children (kernel/exit.c do_wait): the first child whose state has changed in a way that the caller asked for.
import { ECHILD, type Failure } from '../abi/errno.ts';
import { CLD_CONTINUED, CLD_STOPPED, SIGCHLD, SIGCONT } from '../abi/signal.ts';
import { CONTINUED_STATUS, WAIT, stoppedStatus } from '../abi/wait.ts';
import { priorityOf } from '../sched/core.ts';
import type { Task, Tid } from '../sched/task.ts';
import { sleepOn } from '../sched/wait-queue.ts';
import { findProcess } from '../signal/groups.ts';
import type { Kernel } from '../state.ts';
import { emit, isOn } from '../trace/tracepoint.ts';
import { schedProcessWait } from './events.ts';
import { reapProcess } from './exit.ts';
import { childCode } from './notify-parent.ts';
import { newUsage, type Process, type Usage } from './process.ts';
import { addUsage, usageOfProcess } from './usage.ts';

export interface WaitRequest {
  /** Which children: one pid, one process group, or all. */
  readonly who: 'all' | 'pid' | 'group';
  readonly id: Tid;
  /** WAIT.* bits: EXITED, UNTRACED (WSTOPPED), CONTINUED say for what; NOHANG, NOWAIT, CLONE, ALL how. */
  readonly options: number;
}

export interface ChildReport {
  readonly pid: Tid;
  readonly uid: number;
  /** For wait4, and the pair of siginfo for waitid. */
  readonly status: number;
  readonly code: number;
  readonly value: number;
  readonly usage: Usage;
  /** What makes the report final: the caller has told the program, unless WNOWAIT. */
  readonly kind: 'exited' | 'stopped' | 'continued';
}

/** Looks only: the caller writes the report to user memory and then calls finishWait. 'none': WNOHANG and nothing yet. */
export function waitForChild(
  kernel: Kernel,
  task: Task,
  request: WaitRequest,
): ChildReport | 'none' | Failure {
  if (isOn(kernel, schedProcessWait)) {
    emit(kernel, schedProcessWait, { comm: task.comm, pid: request.id, prio: priorityOf(task) });
  }
  let anyEligible = false;
  for (const child of childrenFor(kernel, task.process, request)) {
    if (!isEligible(child, request)) continue;
    anyEligible = true;
    const report = reportOf(kernel, child, request.options);
    if (report !== undefined) return report;
  }
  if (!anyEligible) return ECHILD;
  if ((request.options & WAIT.NOHANG) !== 0) return 'none';
  return sleepOn(kernel, task, task.process.childExit, 'do_wait');
}

function childrenFor(kernel: Kernel, process: Process, request: WaitRequest): Process[] {
  const pids =
    request.who === 'pid' ? [request.id].filter((pid) => process.children.has(pid)) : [...process.children];
  return pids.map((pid) => findProcess(kernel, pid)).filter((child) => child !== undefined);
}

function isEligible(child: Process, { who, id, options }: WaitRequest): boolean {
  if (who === 'group' && child.pgid !== id) return false;
  if ((options & WAIT.ALL) !== 0) return true;
  const isClone = child.exitSignal !== SIGCHLD;
  return isClone === ((options & WAIT.CLONE) !== 0);
}

function reportOf(kernel: Kernel, child: Process, options: number): ChildReport | undefined {
  const uid = kernel.tasks.get(child.pid)?.credentials.uid ?? 0;
  if (child.dead) {
    if ((options & WAIT.EXITED) === 0) return undefined;
    const { code, status: value } = childCode(child.exitStatus);
    return {
      pid: child.pid,
      uid,
      status: child.exitStatus,
      code,
      value,
      usage: wholeUsage(child),
      kind: 'exited',
    };
  }
  if (child.stopped !== null && !child.stopped.reported && (options & WAIT.UNTRACED) !== 0) {
    const { signal } = child.stopped;
    const usage = usageOfProcess(kernel, child);
    return {
      pid: child.pid,
      uid,
      status: stoppedStatus(signal),
      code: CLD_STOPPED,
      value: signal,
      usage,
      kind: 'stopped',
    };
  }
  if (child.continued && (options & WAIT.CONTINUED) !== 0) {
    const usage = usageOfProcess(kernel, child);
    return {
      pid: child.pid,
      uid,
      status: CONTINUED_STATUS,
      code: CLD_CONTINUED,
      value: SIGCONT,
      usage,
      kind: 'continued',
    };
  }
  return undefined;
}

function wholeUsage(child: Process): Usage {
  const sum = newUsage();
  addUsage(sum, child.goneUsage);
  addUsage(sum, child.childrenUsage);
  return sum;
}

/** The report has been handed over: the zombie goes away, or the stop is not reported again. */
export function finishWait(kernel: Kernel, task: Task, report: ChildReport, options: number): void {
  if ((options & WAIT.NOWAIT) !== 0) return;
  const child = findProcess(kernel, report.pid);
  if (child === undefined) return;
  if (report.kind === 'stopped' && child.stopped !== null) child.stopped.reported = true;
  if (report.kind === 'continued') child.continued = false;
  if (report.kind !== 'exited') return;
  addUsage(task.process.childrenUsage, report.usage);
  reapProcess(kernel, child);
}
