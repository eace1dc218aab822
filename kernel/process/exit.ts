// The end of threads and processes (kernel/exit.c). A thread gives back what it holds; the last one of its group makes the
// process a zombie, passes its children on, and tells the parent.
import { BLOCKED, type Failure } from '../abi/errno.ts';
import { killedStatus } from '../abi/wait.ts';
import { SIGCONT, SIGHUP, SIGKILL } from '../abi/signal.ts';
import { newFileTable, putFileTable } from '../fs/vfs/file-table.ts';
import { putFsContext } from '../fs/vfs/fs-context.ts';
import { putMm } from '../mm/mm-life.ts';
import { endCall } from '../sched/call-progress.ts';
import { priorityOf } from '../sched/core.ts';
import type { Task } from '../sched/task.ts';
import { leaveQueues } from '../sched/leave-queues.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import { findProcess, hasStoppedMember, isOrphanedGroup } from '../signal/groups.ts';
import { finishStop } from '../signal/job-control.ts';
import { killThread, signalGroup, signalProcess, threadsOf } from '../signal/send.ts';
import { kernelSignal, newSignalInfo } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { charge } from '../time/clock.ts';
import { printk } from '../trace/printk.ts';
import { emit, isOn } from '../trace/tracepoint.ts';
import { terminalProcessExited } from '../tty/job-control.ts';
import { schedProcessExit, schedProcessFree } from './events.ts';
import { settleFutexes } from './exit-futex.ts';
import { leaveFutex } from './futex.ts';
import { cancelItimers } from './itimers.ts';
import { freeKernelStack } from './kernel-stack.ts';
import { notifyParent } from './notify-parent.ts';
import { deletePosixTimers } from './posix-timers.ts';
import type { Process } from './process.ts';
import { addUsage, usageOfTask } from './usage.ts';

/** What other folders do when a thread ends (SysV semaphores' undo …); by name. */
export const taskExitHooks: Record<string, (kernel: Kernel, task: Task) => void> = {};
/** What other folders do when a whole process has ended (the host's commands …); by name. */
export const processExitHooks: Record<string, (kernel: Kernel, process: Process) => void> = {};

/** exit_group(2), and a deadly signal: every thread of the process ends with this wait status. */
export function exitGroup(kernel: Kernel, task: Task, waitStatus: number): number | Failure {
  const { process } = task;
  process.groupExit ??= { status: waitStatus };
  for (const thread of threadsOf(kernel, process)) {
    if (thread !== task) killThread(kernel, thread);
  }
  return exitTask(kernel, task, process.groupExit.status);
}

/**
 * Ends a task; afterwards its state is 'zombie' or 'dead' and it never runs again. BLOCKED: a page of user memory must be
 * read first; call again.
 */
export function exitTask(kernel: Kernel, task: Task, waitStatus: number): number | Failure {
  if (task.state === 'zombie' || task.state === 'dead') return 0;
  const { process } = task;
  task.flags.exiting = true;
  if (task.mm !== null && settleFutexes(kernel, task) === BLOCKED) return BLOCKED;
  if (isOn(kernel, schedProcessExit)) {
    emit(kernel, schedProcessExit, { comm: task.comm, pid: task.tid, prio: priorityOf(task) });
  }
  charge(kernel, 'exit');
  const isLast = threadsOf(kernel, process).every((thread) => thread === task || thread.state === 'zombie');
  if (isLast && process.pid === kernel.process.initPid) panicWithoutInit(kernel, process, waitStatus);
  releaseParts(kernel, task);
  addUsage(process.goneUsage, usageOfTask(task));
  dropMm(kernel, task);
  task.state = task.tid === process.pid ? 'zombie' : 'dead';
  if (task.tid === process.pid) process.exitStatus = process.groupExit?.status ?? waitStatus;
  else forgetTask(kernel, task);
  finishStop(kernel, process);
  wakeUp(kernel, process.threadExit);
  if (isLast) endProcess(kernel, process);
  return 0;
}

function releaseParts(kernel: Kernel, task: Task): void {
  endCall(kernel, task);
  leaveFutex(kernel, task.tid);
  leaveQueues(task);
  for (const hook of Object.values(taskExitHooks)) hook(kernel, task);
  wakeVforkParent(kernel, task);
  const { files } = task;
  task.files = newFileTable();
  putFileTable(kernel, files, task.process.pid);
  putFsContext(kernel, task.fs);
  task.sighand.users--;
}

function dropMm(kernel: Kernel, task: Task): void {
  const { mm } = task;
  if (mm === null) return;
  task.mm = null;
  putMm(kernel, mm);
}

/** The parent of a vfork goes on once its child has its own memory, or none. */
export function wakeVforkParent(kernel: Kernel, task: Task): void {
  if (task.vforkParent === 0) return;
  const parent = kernel.tasks.get(task.vforkParent);
  task.vforkParent = 0;
  if (parent !== undefined) wakeUp(kernel, parent.process.vforkDone);
}

function panicWithoutInit(kernel: Kernel, process: Process, waitStatus: number): void {
  const status = process.groupExit?.status ?? waitStatus;
  const text = status.toString(16).padStart(8, '0');
  printk(kernel, 0, `Kernel panic - not syncing: Attempted to kill init! exitcode=0x${text}`);
  kernel.powerState = 'panic';
}

/** The last thread is gone. */
function endProcess(kernel: Kernel, process: Process): void {
  process.dead = true;
  if (process.groupExit !== null) process.exitStatus = process.groupExit.status;
  cancelItimers(kernel, process);
  deletePosixTimers(kernel, process);
  terminalProcessExited(kernel, process);
  passChildrenOn(kernel, process);
  warnOrphanedGroup(kernel, process, findProcess(kernel, process.parent), process);
  for (const hook of Object.values(processExitHooks)) hook(kernel, process);
  wakeUp(kernel, process.shared.arrived); // pidfds and signalfds
  if (notifyParent(kernel, process) === 'reap') reapProcess(kernel, process);
}

/** Children go to the nearest subreaper among the ancestors, else to init (prctl(2), PR_SET_CHILD_SUBREAPER). */
function passChildrenOn(kernel: Kernel, process: Process): void {
  if (process.children.size === 0) return;
  const reaper = findReaper(kernel, process);
  for (const pid of [...process.children]) {
    const child = findProcess(kernel, pid);
    if (child === undefined) continue;
    process.children.delete(pid);
    child.parent = reaper.pid;
    reaper.children.add(pid);
    if (child.deathSignal !== 0 && !child.dead) {
      signalProcess(kernel, child, newSignalInfo(child.deathSignal, 0, { pid: process.pid }));
    }
    child.exitSignal = child.exitSignal === 0 ? 0 : 17;
    if (child.dead && notifyParent(kernel, child) === 'reap') reapProcess(kernel, child);
    else warnOrphanedGroup(kernel, child, process, null);
  }
}

function findReaper(kernel: Kernel, process: Process): Process {
  for (
    let next = findProcess(kernel, process.parent);
    next !== undefined;
    next = findProcess(kernel, next.parent)
  ) {
    if (next.childSubreaper && !next.dead) return next;
  }
  return findProcess(kernel, kernel.process.initPid) ?? process;
}

/** A group that loses its last tie to its session while a member is stopped gets SIGHUP and SIGCONT (kill_orphaned_pgrp). */
function warnOrphanedGroup(
  kernel: Kernel,
  process: Process,
  parent: Process | undefined,
  leaving: Process | null,
): void {
  if (parent === undefined || parent.pgid === process.pgid || parent.sid !== process.sid) return;
  if (!hasStoppedMember(kernel, process.pgid) || !isOrphanedGroup(kernel, process.pgid, leaving)) return;
  signalGroup(kernel, process.pgid, kernelSignal(SIGHUP));
  signalGroup(kernel, process.pgid, kernelSignal(SIGCONT));
}

/** Takes the last trace of a dead process away; its pid is free. */
export function reapProcess(kernel: Kernel, process: Process): void {
  findProcess(kernel, process.parent)?.children.delete(process.pid);
  const leader = kernel.tasks.get(process.pid);
  if (leader !== undefined) forgetTask(kernel, leader);
}

function forgetTask(kernel: Kernel, task: Task): void {
  if (isOn(kernel, schedProcessFree)) {
    emit(kernel, schedProcessFree, { comm: task.comm, pid: task.tid, prio: priorityOf(task) });
  }
  task.state = 'dead';
  task.process.threads.delete(task.tid);
  kernel.tasks.delete(task.tid);
  freeKernelStack(kernel, task.tid);
}

/** Ends a process at once from outside: for failures after exec's point of no return. */
export function killProcess(kernel: Kernel, process: Process, signal = SIGKILL): void {
  process.groupExit ??= { status: killedStatus(signal) };
  for (const thread of threadsOf(kernel, process)) killThread(kernel, thread);
}
