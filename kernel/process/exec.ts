// execve (fs/exec.c, fs/binfmt_elf.c). Everything that can wait or fail is done first, on memory that the task does not
// have yet: open, read headers, map, fill the stack. BLOCKED gives all of it back and starts over, when pages that were
// missing are in the cache. Only then other threads are ended and the task changes over, which cannot fail.
import { BLOCKED, E2BIG, EAGAIN, ENOEXEC, failed, type Failure } from '../abi/errno.ts';
import { RLIMIT } from '../abi/resource.ts';
import { SIGCHLD, SIGSEGV, SIG_DFL, SIG_IGN } from '../abi/signal.ts';
import { MS } from '../abi/open-flags.ts';
import { closeOnExecFiles, copyFileTable } from '../fs/vfs/file-table.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { MAY_READ, checkPermission } from '../fs/vfs/permission.ts';
import { REGISTER, loadContext, newContext, setContextRegister } from '../machine/index.ts';
import type { Mm } from '../mm/mm.ts';
import { putMm, setExe } from '../mm/mm-life.ts';
import { loadPageTable, runQueueOf } from '../sched/core.ts';
import type { Task } from '../sched/task.ts';
import { fatalSignalPending } from '../signal/send.ts';
import { copySignalHandlers } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { charge } from '../time/clock.ts';
import { emit, isOn } from '../trace/tracepoint.ts';
import { credentialsAfterExec, type Credentials } from './credentials.ts';
import { schedProcessExec } from './events.ts';
import { findProgram, putProgram, type ExecRequest, type Program } from './exec-file.ts';
import { buildMemory, type NewMemory } from './exec-memory.ts';
import { becomeLeader, endOtherThreads } from './exec-threads.ts';
import { killProcess, wakeVforkParent } from './exit.ts';
import { settleFutexes } from './exit-futex.ts';
import { deletePosixTimers } from './posix-timers.ts';
import { rlimitOf } from './rlimits.ts';

const ARGUMENTS_MAX = 6 * 1024 * 1024;
const ARGUMENTS_MIN = 128 * 1024;
const STRING_MAX = 128 * 1024;
const COMM_MAX = 15;
const ADDR_NO_RANDOMIZE = 0x004_0000;
/** personality bits that a set-id program starts without (PER_CLEAR_ON_SETID). */
const CLEARED_ON_SETID = 0x0040_0000 | 0x0010_0000 | 0x0200_0000 | 0x0100_0000 | ADDR_NO_RANDOMIZE;

/** The plain case: a path from the working directory. */
export const execRequest = (path: string, argv: readonly string[], envp: readonly string[]): ExecRequest => ({
  path, base: null, file: null, noFollow: false, argv, envp, shownName: path,
}); // prettier-ignore

/**
 * Makes the running task run another program. 0: it does, its registers are set (also where the task was a kernel thread).
 * BLOCKED: nothing has changed, call again. A failure behind the point of no return kills the process with SIGSEGV.
 */
export function execTask(kernel: Kernel, task: Task, wanted: ExecRequest): number | Failure {
  const request = wanted.argv.length === 0 ? { ...wanted, argv: [''] } : wanted;
  const tooBig = checkArguments(task, request);
  if (tooBig !== undefined) return tooBig;
  const program = findProgram(kernel, task, request);
  if (failed(program)) return program;
  const result = runProgram(kernel, task, request, program);
  putProgram(kernel, program);
  return result;
}

/** RLIMIT_STACK bounds the strings and pointers (bprm_stack_limits); a single string has its own limit. */
function checkArguments(task: Task, { argv, envp }: ExecRequest): Failure | undefined {
  const stackLimit = rlimitOf(task.process, RLIMIT.STACK);
  const limit = Math.max(ARGUMENTS_MIN, Math.min(stackLimit / 4, ARGUMENTS_MAX));
  let bytes = 8 * (Math.max(1, argv.length) + envp.length);
  for (const strings of [argv, envp]) {
    for (const text of strings) {
      if (text.length >= STRING_MAX) return E2BIG;
      bytes += text.length + 1;
    }
  }
  return bytes > limit ? E2BIG : undefined;
}

function runProgram(kernel: Kernel, task: Task, request: ExecRequest, program: Program): number | Failure {
  const { now: credentials, secure } = newCredentials(kernel, task, program.file);
  const personality = secure ? task.process.personality & ~CLEARED_ON_SETID : task.process.personality;
  const memory = buildMemory(kernel, task, program, {
    credentials, secure, envp: request.envp, randomize: (personality & ADDR_NO_RANDOMIZE) === 0,
  }); // prettier-ignore
  if (failed(memory)) {
    // Linux has given its old memory up by now: what goes wrong here ends the program.
    if (memory !== BLOCKED && task.mm !== null) killProcess(kernel, task.process, SIGSEGV);
    return memory === BLOCKED || task.mm !== null ? memory : ENOEXEC;
  }
  const ready = makeWay(kernel, task);
  if (failed(ready)) {
    putMm(kernel, memory.mm);
    return ready;
  }
  task.process.personality = personality;
  changeOver(kernel, task, program, memory, credentials);
  return 0;
}

function newCredentials(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
): { readonly now: Credentials; readonly secure: boolean } {
  const { uid, gid, mode } = file.inode;
  const mountFlags = kernel.vfs.mounts.get(file.mount)?.flags ?? 0;
  return credentialsAfterExec(task.credentials, {
    uid,
    gid,
    mode,
    allowsSetId: (mountFlags & MS.NOSUID) === 0,
  });
}

/** The last things that can wait: other threads' end, and what the old memory's futexes are owed. */
function makeWay(kernel: Kernel, task: Task): 0 | Failure {
  if (fatalSignalPending(task)) return EAGAIN;
  const alone = endOtherThreads(kernel, task);
  if (failed(alone)) return alone;
  return task.mm === null ? 0 : settleFutexes(kernel, task);
}

/** The point of no return. */
function changeOver(
  kernel: Kernel,
  task: Task,
  program: Program,
  memory: NewMemory,
  credentials: Credentials,
): void {
  const { process } = task;
  charge(kernel, 'exec');
  const oldTid = task.tid;
  setExe(kernel, memory.mm, program.file);
  changeMemory(kernel, task, memory.mm);
  wakeVforkParent(kernel, task);
  unshareHandlers(task);
  deletePosixTimers(kernel, process);
  if (task.files.users > 1) {
    const shared = task.files;
    task.files = copyFileTable(kernel, shared);
    shared.users--;
  }
  closeOnExecFiles(kernel, task);
  const old = task.credentials;
  const changed = old.euid !== credentials.euid || old.egid !== credentials.egid;
  if (changed) process.deathSignal = 0;
  const unreadable = failed(checkPermission(kernel, task, program.file.inode, MAY_READ));
  memory.mm.dumpable =
    !changed && credentials.uid === credentials.euid && credentials.gid === credentials.egid && !unreadable;
  task.credentials = credentials;
  task.comm = program.execName.slice(program.execName.lastIndexOf('/') + 1).slice(0, COMM_MAX);
  task.rseq = null;
  task.robustList = 0;
  task.clearChildTid = 0;
  task.kernelThread = null;
  task.flags.kernel = false;
  task.flags.forkNoExec = false;
  task.exitSignal = SIGCHLD;
  process.exitSignal = process.exitSignal === 0 && process.parent === 0 ? 0 : SIGCHLD;
  process.hasExeced = true;
  process.membarrier = 0;
  startRegisters(kernel, task, memory);
  if (isOn(kernel, schedProcessExec)) {
    emit(kernel, schedProcessExec, { filename: program.execName, pid: process.pid, old_pid: oldTid });
  }
  if (task.tid !== process.pid) becomeLeader(kernel, task);
}

function changeMemory(kernel: Kernel, task: Task, mm: Mm): void {
  const old = task.mm;
  const { process } = task;
  if (old !== null) process.goneUsage.maxRssPages = Math.max(process.goneUsage.maxRssPages, old.peakRssPages);
  task.mm = mm;
  loadPageTable(kernel, runQueueOf(kernel, kernel.cpu), task);
  if (old !== null) putMm(kernel, old);
}

/** Handlers become defaults; ignored signals stay ignored (flush_signal_handlers). */
function unshareHandlers(task: Task): void {
  if (task.sighand.users > 1) {
    task.sighand.users--;
    task.sighand = copySignalHandlers(task.sighand);
  }
  for (const action of task.sighand.actions) {
    if (action.handler !== SIG_IGN) action.handler = SIG_DFL;
    action.flags = 0;
    action.restorer = 0;
    action.mask = 0n;
  }
  task.signals.altStack = { address: 0, size: 0, flags: 0 };
}

/** Every register 0 (RDX too: glibc takes it for a function to call at exit) but RIP, RSP and RFLAGS. */
function startRegisters(kernel: Kernel, task: Task, memory: NewMemory): void {
  const context = newContext();
  setContextRegister(context, REGISTER.rip, memory.entry);
  setContextRegister(context, REGISTER.rsp, memory.sp);
  task.context = context;
  loadContext(kernel.machine, kernel.cpu, context);
}
