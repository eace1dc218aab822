// /proc/PID/stat, statm, status, comm: what ps and top read of every task (proc(5), fs/proc/array.c).
import { EINVAL } from '../abi/errno.ts';
import { policyNumbers } from '../abi/scheduling.ts';
import { RLIMIT } from '../abi/resource.ts';
import { SIG_IGN, signalBit } from '../abi/signal.ts';
import { priorityOf, stateLetter } from '../sched/core.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { mayInspect } from './access.ts';
import { threadsOfTask } from './processes.ts';
import { bitList, hex, hexMask } from './text.ts';
import { procFile, taskFile, type Subject } from './tree.ts';

const TICK_NS = 10_000_000; // clock_t, 100 a second
const ticks = (ns: number): number => Math.floor(ns / TICK_NS);
const UNLIMITED = '18446744073709551615';

const PF_EXITING = 0x4;
const PF_FORKNOEXEC = 0x40;
const PF_NOFREEZE = 0x8000;
const PF_KTHREAD = 0x20_0000;
const PF_RANDOMIZE = 0x40_0000;

function flagsOf(task: Task): number {
  let flags = task.flags.kernel ? PF_KTHREAD | PF_NOFREEZE : PF_RANDOMIZE;
  if (task.flags.forkNoExec || task.flags.kernel) flags |= PF_FORKNOEXEC;
  if (task.flags.exiting) flags |= PF_EXITING;
  return flags;
}

interface Times {
  userNs: number;
  systemNs: number;
  minorFaults: number;
  majorFaults: number;
}

/** Sums over the threads of a process, those that are gone included. */
export function processTimes(kernel: Kernel, task: Task): Times {
  const { goneUsage } = task.process;
  const sum = { userNs: goneUsage.userNs, systemNs: goneUsage.systemNs, minorFaults: goneUsage.minorFaults, majorFaults: goneUsage.majorFaults }; // prettier-ignore
  for (const thread of threadsOfTask(kernel, task)) {
    sum.userNs += thread.userNs;
    sum.systemNs += thread.systemNs;
    sum.minorFaults += thread.minorFaults;
    sum.majorFaults += thread.majorFaults;
  }
  return sum;
}

/** Signals with SIG_IGN, and those with a handler. */
export function signalDispositions(task: Task): { ignored: bigint; caught: bigint } {
  let ignored = 0n;
  let caught = 0n;
  task.sighand.actions.forEach(({ handler }, signal) => {
    if (signal === 0) return;
    if (handler === SIG_IGN) ignored |= signalBit(signal);
    else if (handler !== 0) caught |= signalBit(signal);
  });
  return { ignored, caught };
}

export const residentPages = (task: Task): number =>
  task.mm === null ? 0 : task.mm.rss.anon + task.mm.rss.file + task.mm.rss.shmem;

function stat(kernel: Kernel, { task, reader }: Subject, whole: boolean): string {
  const { process, mm } = task;
  const permitted = mayInspect(reader, task);
  const terminal = kernel.tty.terminals.get(process.tty);
  const times = whole ? processTimes(kernel, task) : task;
  const { childrenUsage } = process;
  const { ignored, caught } = signalDispositions(task);
  const small = (mask: bigint): string => String(mask & 0x7fff_ffffn);
  const address = (value: number | undefined): number => (permitted ? (value ?? 0) : 0);
  const rssLimit = process.rlimits[RLIMIT.RSS]?.current ?? Infinity;
  const fields = [
    task.tid, `(${task.comm})`, stateLetter(task), process.parent, process.pgid, process.sid, terminal?.device ?? 0,
    terminal === undefined ? -1 : terminal.foreground || -1, flagsOf(task), times.minorFaults,
    childrenUsage.minorFaults, times.majorFaults, childrenUsage.majorFaults, ticks(times.userNs), ticks(times.systemNs),
    ticks(childrenUsage.userNs), ticks(childrenUsage.systemNs), priorityOf(task) - 100, task.sched.nice,
    process.threads.size, 0, ticks(task.startNs), (mm?.totalPages ?? 0) * 4096, residentPages(task),
    rssLimit === Infinity ? UNLIMITED : rssLimit,
    mm === null ? 0 : permitted ? mm.startCode : 1, mm === null ? 0 : permitted ? mm.endCode : 1, address(mm?.startStack),
    0, 0, // stack and instruction pointer: shown only while a core is dumped
    small(task.signals.pendingMask), small(task.signals.blocked), small(ignored), small(caught),
    task.state === 'running' ? 0 : 1, 0, 0, task.exitSignal, task.sched.cpu, task.sched.rtPriority,
    policyNumbers[task.sched.policy], 0, 0, 0,
    address(mm?.startData), address(mm?.endData), address(mm?.startBrk), address(mm?.argStart), address(mm?.argEnd),
    address(mm?.envStart), address(mm?.envEnd), permitted ? process.exitStatus : 0,
  ]; // prettier-ignore
  return `${fields.join(' ')}\n`;
}

procFile('/proc/{pid}/stat', 0o444, (kernel, subject) => stat(kernel, subject, true));
procFile('/proc/{pid}/task/{tid}/stat', 0o444, (kernel, subject) => stat(kernel, subject, false));

/** size resident shared text lib data dirty, in pages; lib and dirty are always 0. */
taskFile('statm', 0o444, (_kernel, { task }) => {
  const { mm } = task;
  if (mm === null) return '0 0 0 0 0 0 0\n';
  const text = Math.ceil(mm.endCode / 4096) - Math.floor(mm.startCode / 4096);
  return `${mm.totalPages} ${residentPages(task)} ${mm.rss.file + mm.rss.shmem} ${text} 0 ${mm.dataPages + mm.stackPages} 0\n`;
});

const STATE_WORDS: Readonly<Record<string, string>> = {
  R: 'R (running)', S: 'S (sleeping)', D: 'D (disk sleep)', T: 'T (stopped)', t: 't (tracing stop)', Z: 'Z (zombie)', X: 'X (dead)',
}; // prettier-ignore

/** Slots of the descriptor table: a power of two from 64 on. */
function tableSlots(task: Task): number {
  let slots = 64;
  while (slots < task.files.open.length) slots *= 2;
  return slots;
}

function status(kernel: Kernel, { task }: Subject): string {
  const { process, credentials, mm } = task;
  const isGone = task.state === 'zombie' || task.state === 'dead';
  const { ignored, caught } = signalDispositions(task);
  const queued = task.signals.queue.length + process.shared.queue.length;
  const kb = (pages: number): string => `${String(pages * 4).padStart(8)} kB`;
  const lines: string[] = [
    `Name:\t${task.comm}`,
    ...(isGone ? [] : [`Umask:\t${task.fs.umask.toString(8).padStart(4, '0')}`]),
    `State:\t${STATE_WORDS[stateLetter(task)] ?? ''}`,
    `Tgid:\t${process.pid}`, 'Ngid:\t0', `Pid:\t${task.tid}`, `PPid:\t${process.parent}`, 'TracerPid:\t0',
    `Uid:\t${[credentials.uid, credentials.euid, credentials.suid, credentials.fsuid].join('\t')}`,
    `Gid:\t${[credentials.gid, credentials.egid, credentials.sgid, credentials.fsgid].join('\t')}`,
    `FDSize:\t${isGone ? 0 : tableSlots(task)}`,
    `Groups:\t${credentials.groups.map((gid) => `${gid} `).join('')}`,
    `NStgid:\t${process.pid}`, `NSpid:\t${task.tid}`, `NSpgid:\t${process.pgid}`, `NSsid:\t${process.sid}`,
  ]; // prettier-ignore
  if (mm !== null) {
    const textPages = Math.ceil(mm.endCode / 4096) - Math.floor(mm.startCode / 4096);
    lines.push(
      `VmPeak:\t${kb(Math.max(mm.peakVmPages, mm.totalPages))}`, `VmSize:\t${kb(mm.totalPages)}`,
      `VmLck:\t${kb(mm.lockedPages)}`, `VmPin:\t${kb(0)}`, `VmHWM:\t${kb(Math.max(mm.peakRssPages, residentPages(task)))}`,
      `VmRSS:\t${kb(residentPages(task))}`, `RssAnon:\t${kb(mm.rss.anon)}`, `RssFile:\t${kb(mm.rss.file)}`,
      `RssShmem:\t${kb(mm.rss.shmem)}`, `VmData:\t${kb(mm.dataPages)}`, `VmStk:\t${kb(mm.stackPages)}`,
      `VmExe:\t${kb(textPages)}`, `VmLib:\t${kb(Math.max(0, mm.execPages - textPages))}`, `VmPTE:\t${kb(mm.pageTablePages)}`,
      `VmSwap:\t${kb(mm.rss.swap)}`, `HugetlbPages:\t${kb(0)}`, 'CoreDumping:\t0', 'THP_enabled:\t0',
    ); // prettier-ignore
  }
  lines.push(
    `Threads:\t${process.threads.size}`,
    `SigQ:\t${queued}/${process.rlimits[RLIMIT.SIGPENDING]?.current ?? 0}`,
    `SigPnd:\t${hexMask(task.signals.pendingMask)}`, `ShdPnd:\t${hexMask(process.shared.pendingMask)}`,
    `SigBlk:\t${hexMask(task.signals.blocked)}`, `SigIgn:\t${hexMask(ignored)}`, `SigCgt:\t${hexMask(caught)}`,
    `CapInh:\t${hexMask(credentials.inheritable)}`, `CapPrm:\t${hexMask(credentials.permitted)}`,
    `CapEff:\t${hexMask(credentials.effective)}`, `CapBnd:\t${hexMask(credentials.bounding)}`,
    `CapAmb:\t${hexMask(credentials.ambient)}`, `NoNewPrivs:\t${credentials.noNewPrivs ? 1 : 0}`, 'Seccomp:\t0',
    'Seccomp_filters:\t0',
    ...affinityLines(kernel, task), 'Mems_allowed:\t00000001', 'Mems_allowed_list:\t0',
    `voluntary_ctxt_switches:\t${task.voluntarySwitches}`, `nonvoluntary_ctxt_switches:\t${task.involuntarySwitches}`,
  ); // prettier-ignore
  return `${lines.join('\n')}\n`;
}

function affinityLines(kernel: Kernel, task: Task): string[] {
  const mask = (task.sched.affinity & (2 ** kernel.config.cpuCount - 1)) >>> 0;
  return [`Cpus_allowed:\t${hex(mask)}`, `Cpus_allowed_list:\t${bitList(mask)}`];
}

taskFile('status', 0o444, status);

taskFile(
  'comm',
  0o644,
  (_kernel, { task }) => `${task.comm}\n`,
  (_kernel, { task, reader }, text) => {
    if (reader.process !== task.process) return EINVAL;
    task.comm = text.replace(/\n$/, '').slice(0, 15);
    return 0;
  },
);
