// exec in a process with several threads (fs/exec.c de_thread): the others end, and the one that is left becomes the leader.
import { EAGAIN, type Failure } from '../abi/errno.ts';
import { assert } from '../lib/assert.ts';
import { wakeTask } from '../sched/core.ts';
import type { Task } from '../sched/task.ts';
import { sleepUninterruptible } from '../sched/wait-queue.ts';
import { killThread, threadsOf } from '../signal/send.ts';
import type { Kernel } from '../state.ts';
import { freeKernelStack } from './kernel-stack.ts';

/** 0 when the task is the only living thread; else the others are told to end and the task sleeps until they have. */
export function endOtherThreads(kernel: Kernel, task: Task): 0 | Failure {
  const { process } = task;
  if (process.groupExit !== null || (process.execTask !== 0 && process.execTask !== task.tid)) return EAGAIN;
  const others = threadsOf(kernel, process).filter((thread) => thread !== task && thread.state !== 'zombie');
  if (others.length === 0) {
    process.execTask = 0;
    return 0;
  }
  if (process.execTask === 0) {
    process.execTask = task.tid;
    for (const thread of others) killThread(kernel, thread);
  }
  return sleepUninterruptible(kernel, task, process.threadExit, 'de_thread');
}

/**
 * The leader is a zombie with the process's pid; the new program must have that pid. So the leader's record comes to life
 * again with all that the executing thread has, and that thread's record goes away.
 */
export function becomeLeader(kernel: Kernel, task: Task): void {
  const { process } = task;
  const leader = kernel.tasks.get(process.pid);
  assert(leader?.state === 'zombie', 'the leader of a process outlives its threads');
  leader.comm = task.comm;
  leader.mm = task.mm;
  leader.files = task.files;
  leader.fs = task.fs;
  leader.credentials = task.credentials;
  leader.sighand = task.sighand;
  leader.signals = task.signals;
  leader.context = task.context;
  leader.exitSignal = task.exitSignal;
  leader.userNs = task.userNs;
  leader.systemNs = task.systemNs;
  leader.minorFaults = task.minorFaults;
  leader.majorFaults = task.majorFaults;
  leader.voluntarySwitches = task.voluntarySwitches;
  leader.involuntarySwitches = task.involuntarySwitches;
  leader.io = task.io;
  leader.call = null;
  leader.inCall = false;
  leader.origRax = -1;
  leader.vforkParent = 0;
  leader.robustList = 0;
  leader.clearChildTid = 0;
  leader.rseq = null;
  leader.flags = { ...task.flags, exiting: false, restarting: false };
  leader.state = 'sleeping';
  process.threads.delete(task.tid);
  kernel.tasks.delete(task.tid);
  freeKernelStack(kernel, task.tid);
  task.mm = null;
  task.state = 'dead';
  wakeTask(kernel, leader);
}
