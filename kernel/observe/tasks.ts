// Tasks: a row for each, and one of them whole.
import { REGISTER, contextRegister, readRegister, type RegisterNumber } from '../machine/index.ts';
import type { Mm } from '../mm/mm.ts';
import { priorityOf, stateLetter } from '../sched/core.ts';
import type { Task } from '../sched/task.ts';
import { pathText } from '../fs/vfs/path.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import type { Kernel } from '../state.ts';

const PAGE = 4096;

export interface TaskView {
  readonly tid: number;
  readonly pid: number;
  readonly parent: number;
  readonly comm: string;
  readonly state: string;
  readonly cpu: number;
  readonly nice: number;
  readonly policy: string;
  readonly uid: number;
  readonly userNs: number;
  readonly systemNs: number;
  readonly waitNs: number;
  readonly residentBytes: number;
  readonly virtualBytes: number;
  readonly swappedBytes: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly kernelThread: number;
}

const residentBytes = (mm: Mm | null): number =>
  mm === null ? 0 : (mm.rss.anon + mm.rss.file + mm.rss.shmem) * PAGE;
const virtualBytes = (mm: Mm | null): number =>
  mm === null ? 0 : mm.vmas.reduce((sum, vma) => sum + vma.end - vma.start, 0);

function viewTask(task: Task): TaskView {
  const { sched, mm, process } = task;
  return {
    tid: task.tid, pid: process.pid, parent: process.parent, comm: task.comm, state: stateLetter(task), cpu: sched.cpu, nice: sched.nice,
    policy: sched.policy, uid: task.credentials.uid, userNs: task.userNs, systemNs: task.systemNs, waitNs: sched.waitSumNs,
    residentBytes: residentBytes(mm), virtualBytes: virtualBytes(mm), swappedBytes: (mm?.rss.swap ?? 0) * PAGE,
    minorFaults: task.minorFaults, majorFaults: task.majorFaults, readBytes: task.io.readBytes, writtenBytes: task.io.writeBytes,
    kernelThread: task.kernelThread === null ? 0 : 1,
  }; // prettier-ignore
}

export const viewTasks = (kernel: Kernel): TaskView[] => [...kernel.tasks.values()].map(viewTask);

const hex64 = (value: number | bigint): string => `0x${BigInt(value).toString(16)}`;
const mask64 = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, '0');

/** General registers as they are now: in the CPU for a task that runs, else in its saved context. */
function registersOf(kernel: Kernel, task: Task): Record<string, string> {
  const read = (register: RegisterNumber): number =>
    task.sched.onCpu
      ? readRegister(kernel.machine, task.sched.cpu, register)
      : contextRegister(task.context, register);
  if (task.mm === null) return {};
  return Object.fromEntries(
    Object.entries(REGISTER).map(([name, register]) => [name, hex64(read(register))]),
  );
}

function pathOfFile(kernel: Kernel, file: OpenFile): string {
  const rootMount = kernel.vfs.mounts.get(kernel.vfs.rootMount);
  if (file.dentry === null || rootMount === undefined) return `${file.operations}:[${file.inode.number}]`;
  const root = { mount: rootMount.id, dentry: rootMount.root };
  return pathText(kernel, { mount: file.mount, dentry: file.dentry }, root) ?? file.dentry.name;
}

function ignoredAndCaught(task: Task): { ignored: string; caught: string } {
  let ignored = 0n;
  let caught = 0n;
  task.sighand.actions.forEach((action, signal) => {
    if (signal === 0 || action.handler === 0) return;
    if (action.handler === 1) ignored |= 1n << BigInt(signal - 1);
    else caught |= 1n << BigInt(signal - 1);
  });
  return { ignored: mask64(ignored), caught: mask64(caught) };
}

/** Everything that the inspector shows of a task, or undefined when there is none of that number. */
export function inspectTask(kernel: Kernel, tid: number) {
  const task = kernel.tasks.get(tid);
  if (task === undefined) return undefined;
  const { mm, process, sched } = task;
  return {
    tid, pid: process.pid, parent: process.parent, comm: task.comm, commandLine: [task.comm],
    executable: mm?.exe == null ? null : pathOfFile(kernel, mm.exe),
    workingDirectory: pathText(kernel, task.fs.cwd, task.fs.root) ?? null,
    state: stateLetter(task), waitChannel: task.wchan === '' ? null : task.wchan, policy: sched.policy, nice: sched.nice,
    priority: priorityOf(task), cpu: sched.cpu,
    affinity: kernel.sched.runQueues.map(({ cpu }) => cpu).filter((cpu) => ((sched.affinity >>> cpu) & 1) === 1),
    vruntimeNs: Math.round(sched.vruntime), userNs: task.userNs, systemNs: task.systemNs, voluntarySwitches: task.voluntarySwitches,
    involuntarySwitches: task.involuntarySwitches, minorFaults: task.minorFaults, majorFaults: task.majorFaults,
    residentBytes: residentBytes(mm), virtualBytes: virtualBytes(mm), swappedBytes: (mm?.rss.swap ?? 0) * PAGE,
    uid: task.credentials.uid, gid: task.credentials.gid, processGroup: process.pgid, session: process.sid,
    terminal: process.tty === '' ? null : process.tty, startedNs: task.startNs, registers: registersOf(kernel, task),
    signals: { pending: mask64(task.signals.pendingMask | process.shared.pendingMask), blocked: mask64(task.signals.blocked), ...ignoredAndCaught(task) },
    maps: (mm?.vmas ?? []).map((vma) => ({
      start: hex64(vma.start), end: hex64(vma.end),
      permissions: `${vma.flags.read ? 'r' : '-'}${vma.flags.write ? 'w' : '-'}${vma.flags.execute ? 'x' : '-'}${vma.flags.shared ? 's' : 'p'}`,
      offsetBytes: vma.offset, path: vma.file === null ? vma.flags.name : pathOfFile(kernel, vma.file), residentBytes: 0, swappedBytes: 0,
    })),
    files: task.files.open.flatMap((file, fd) =>
      file == null ? [] : [{ fd, path: pathOfFile(kernel, file), kind: file.inode.kind, offsetBytes: file.position, flags: `0${file.flags.toString(8)}` }],
    ),
    more: { kernelThread: task.kernelThread?.name ?? '', threads: String(process.threads.size), switches: String(sched.switchCount), migrations: String(sched.migrations) },
  }; // prettier-ignore
}
