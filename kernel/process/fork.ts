// Making tasks out of tasks: fork, vfork, clone, clone3 (kernel/fork.c copy_process). The child starts in user mode right
// behind the parent's SYSCALL, with 0 in RAX.
import { BLOCKED, EAGAIN, EINVAL, EPERM, failed, type Failure } from '../abi/errno.ts';
import { CAP } from '../abi/capability.ts';
import { CLONE, hasFlag } from '../abi/clone.ts';
import { RLIMIT } from '../abi/resource.ts';
import { SA, SIGNAL_COUNT, SIG_DFL, SIG_IGN, UNBLOCKABLE } from '../abi/signal.ts';
import { copyFileTable } from '../fs/vfs/file-table.ts';
import { copyFsContext } from '../fs/vfs/fs-context.ts';
import { put32 } from '../lib/bytes.ts';
import { REGISTER, saveContext, setContextRegister } from '../machine/index.ts';
import type { Mm } from '../mm/mm.ts';
import { forkMm, putMm } from '../mm/mm-life.ts';
import { storeUser32, writeMm } from '../mm/user-memory.ts';
import { wakeTask } from '../sched/core.ts';
import type { Task, Tid } from '../sched/task.ts';
import { noAltStack } from '../signal/alt-stack.ts';
import { copySignalHandlers, newPendingSignals, type SignalHandlers } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { charge, now } from '../time/clock.ts';
import { emit, isOn } from '../trace/tracepoint.ts';
import { capable } from './credentials.ts';
import { schedProcessFork } from './events.ts';
import { freeKernelStack, allocateKernelStack } from './kernel-stack.ts';
import { newTask } from './new-task.ts';
import { allocatePid } from './pids.ts';
import { newProcess, type Process } from './process.ts';
import { rlimitOf } from './rlimits.ts';

export interface ForkRequest {
  /** CLONE_* without the exit signal. */
  readonly flags: number;
  readonly exitSignal: number;
  /** Initial RSP of the child; 0: the parent's. */
  readonly stack: number;
  readonly tls: number;
  /** Where CLONE_PARENT_SETTID and CLONE_CHILD_SETTID/CLEARTID write. */
  readonly parentTid: number;
  readonly childTid: number;
}

export const FORK: ForkRequest = { flags: 0, exitSignal: 17, stack: 0, tls: 0, parentTid: 0, childTid: 0 };

const USER_END = 0x7fff_ffff_f000;

const NAMESPACES = [
  CLONE.NEWTIME, CLONE.NEWNS, CLONE.NEWCGROUP, CLONE.NEWUTS, CLONE.NEWIPC, CLONE.NEWUSER, CLONE.NEWPID, CLONE.NEWNET,
]; // prettier-ignore

/** Makes a child of the running task and starts it. BLOCKED: nothing was made, call again. */
export function forkTask(kernel: Kernel, task: Task, request: ForkRequest): Tid | Failure {
  const refused = checkFlags(task, request) ?? checkLimits(kernel, task, request);
  if (refused !== undefined) return refused;
  const tid = allocatePid(kernel);
  if (failed(tid)) return tid;
  const stack = allocateKernelStack(kernel, tid);
  if (failed(stack)) return stack;
  const mm = memoryForChild(kernel, task, request, tid);
  if (failed(mm)) {
    freeKernelStack(kernel, tid);
    kernel.process.lastPid = tid - 1; // the number was not given
    return mm;
  }
  const child = assembleChild(kernel, task, request, tid, mm);
  charge(kernel, hasFlag(request.flags, CLONE.VM) ? 'clone' : 'fork');
  kernel.process.forks++;
  kernel.sched.forks++;
  if (isOn(kernel, schedProcessFork)) {
    emit(kernel, schedProcessFork, {
      parent_comm: task.comm, parent_pid: task.tid, child_comm: child.comm, child_pid: tid,
    }); // prettier-ignore
  }
  wakeTask(kernel, child);
  return tid;
}

/** copy_process's checks, in its order. */
function checkFlags(task: Task, { flags, exitSignal, tls }: ForkRequest): Failure | undefined {
  const has = (flag: number): boolean => hasFlag(flags, flag);
  if (has(CLONE.NEWNS) && has(CLONE.FS)) return EINVAL;
  if (has(CLONE.NEWUSER) && has(CLONE.FS)) return EINVAL;
  if (has(CLONE.THREAD) && !has(CLONE.SIGHAND)) return EINVAL;
  if (has(CLONE.SIGHAND) && !has(CLONE.VM)) return EINVAL;
  if (has(CLONE.PARENT) && task.process.unkillable) return EINVAL;
  if (has(CLONE.CLEAR_SIGHAND) && has(CLONE.SIGHAND)) return EINVAL;
  if (NAMESPACES.some(has)) return EINVAL; // as a kernel without namespaces answers
  if (exitSignal < 0 || exitSignal > SIGNAL_COUNT) return EINVAL;
  if (has(CLONE.SETTLS) && tls >= USER_END) return EPERM;
  return undefined;
}

function checkLimits(kernel: Kernel, task: Task, _request: ForkRequest): Failure | undefined {
  const limit = rlimitOf(task.process, RLIMIT.NPROC);
  const { uid } = task.credentials;
  const privileged = uid === 0 || capable(task, CAP.SYS_RESOURCE) || capable(task, CAP.SYS_ADMIN);
  if (!privileged && limit !== Infinity) {
    let count = 0;
    for (const other of kernel.tasks.values()) if (other.credentials.uid === uid) count++;
    if (count >= limit) return EAGAIN;
  }
  return kernel.tasks.size >= kernel.process.threadsMax ? EAGAIN : undefined;
}

/**
 * The child's memory with its tid written where the flags ask for it. Writing may have to wait for memory: then the copy is
 * given back and the whole call starts again.
 */
function memoryForChild(kernel: Kernel, task: Task, request: ForkRequest, tid: Tid): Mm | null | Failure {
  const { flags } = request;
  const parentMm = task.mm;
  if (parentMm === null) return null;
  const shared = hasFlag(flags, CLONE.VM);
  const mm = shared ? parentMm : forkMm(kernel, parentMm);
  if (failed(mm)) return mm;
  if (shared) mm.users++;
  if (writeTids(kernel, task, request, tid, mm) !== BLOCKED) return mm; // a bad address is the program's own affair
  putMm(kernel, mm);
  return BLOCKED;
}

function writeTids(
  kernel: Kernel,
  task: Task,
  request: ForkRequest,
  tid: Tid,
  childMm: Mm,
): number | Failure {
  if (hasFlag(request.flags, CLONE.PARENT_SETTID)) {
    if (storeUser32(kernel, task, request.parentTid, tid) === BLOCKED) return BLOCKED;
  }
  if (!hasFlag(request.flags, CLONE.CHILD_SETTID)) return 0;
  const word = new Uint8Array(4);
  put32(word, 0, tid);
  return writeMm(kernel, task, childMm, request.childTid, word);
}

function assembleChild(kernel: Kernel, task: Task, request: ForkRequest, tid: Tid, mm: Mm | null): Task {
  const { flags } = request;
  const isThread = hasFlag(flags, CLONE.THREAD);
  const process = isThread ? task.process : childProcess(kernel, task, request, tid);
  if (isThread) process.threads.add(tid);
  const shares = (flag: number): boolean => hasFlag(flags, flag);
  const files = shares(CLONE.FILES) ? task.files : copyFileTable(kernel, task.files);
  const fs = shares(CLONE.FS) ? task.fs : copyFsContext(kernel, task.fs);
  const sighand = shares(CLONE.SIGHAND) ? task.sighand : copySignalHandlers(task.sighand);
  if (shares(CLONE.FILES)) files.users++;
  if (shares(CLONE.FS)) fs.users++;
  if (shares(CLONE.SIGHAND)) sighand.users++;
  if (shares(CLONE.CLEAR_SIGHAND)) clearHandlers(sighand);
  const signals = newPendingSignals(task.signals.savedMask ?? task.signals.blocked);
  signals.altStack = shares(CLONE.VM) && !shares(CLONE.VFORK) ? noAltStack() : { ...task.signals.altStack };
  const child = newTask(kernel, task, {
    tid, comm: task.comm, process, mm, files, fs, credentials: task.credentials, sighand, signals,
    context: childContext(kernel, request), kernelThread: null, exitSignal: isThread ? 0 : request.exitSignal,
  }); // prettier-ignore
  if (shares(CLONE.CHILD_CLEARTID)) child.clearChildTid = request.childTid;
  if (shares(CLONE.VFORK)) child.vforkParent = task.tid;
  if (!shares(CLONE.VM) && task.rseq !== null) child.rseq = { ...task.rseq };
  child.flags.forkNoExec = true;
  return child;
}

function childProcess(kernel: Kernel, task: Task, request: ForkRequest, tid: Tid): Process {
  const sibling = hasFlag(request.flags, CLONE.PARENT);
  const parent = sibling ? task.process.parent : task.process.pid;
  const process = newProcess(tid, parent, task.process, now(kernel));
  process.exitSignal = sibling ? task.process.exitSignal : request.exitSignal;
  kernel.tasks.get(parent)?.process.children.add(tid);
  return process;
}

/** The live registers, as the child finds them. */
function childContext(kernel: Kernel, request: ForkRequest): Uint8Array {
  const context = saveContext(kernel.machine, kernel.cpu);
  setContextRegister(context, REGISTER.rax, 0);
  if (request.stack !== 0) setContextRegister(context, REGISTER.rsp, request.stack);
  if (hasFlag(request.flags, CLONE.SETTLS)) setContextRegister(context, REGISTER.fsBase, request.tls);
  return context;
}

/** CLONE_CLEAR_SIGHAND: handlers become defaults, ignored signals stay ignored. */
function clearHandlers(sighand: SignalHandlers): void {
  for (const action of sighand.actions) {
    if (action.handler !== SIG_IGN) action.handler = SIG_DFL;
    action.flags &= ~SA.RESTORER;
    action.mask &= ~UNBLOCKABLE;
  }
}

/** Whether a vfork's parent may go on: its child has executed a program, or has ended. */
export function vforkIsOver(kernel: Kernel, parent: Task, child: Tid): boolean {
  return kernel.tasks.get(child)?.vforkParent !== parent.tid;
}
