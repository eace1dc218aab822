// What a task's memory shows of itself: cmdline, environ, auxv, maps (proc(5), fs/proc/base.c and task_mmu.c).
import { failed, type Failure } from '../abi/errno.ts';
import { majorOf, minorOf } from '../abi/device.ts';
import type { Vma } from '../mm/mm.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { readTaskMemory } from './remote-memory.ts';
import { placeText } from './task-files.ts';
import { escapeBytes, hex } from './text.ts';
import { guard, taskFile, type Subject } from './tree.ts';

const MAX_BYTES = 1_048_576;

/** The arguments as they stand in memory now; a program that wrote over their end goes on into the environment. */
function commandLine(kernel: Kernel, { task, reader }: Subject): Uint8Array | Failure {
  const { mm } = task;
  if (mm === null || mm.argEnd <= mm.argStart) return new Uint8Array(0);
  const { argStart, argEnd, envStart, envEnd } = mm;
  const args = readTaskMemory(kernel, reader, task, argStart, Math.min(argEnd - argStart, MAX_BYTES));
  if (failed(args) || args.at(-1) === 0 || envStart !== argEnd || envEnd <= envStart) return args;
  const whole = readTaskMemory(kernel, reader, task, argStart, Math.min(envEnd - argStart, MAX_BYTES));
  if (failed(whole)) return whole;
  const end = whole.indexOf(0);
  return end < 0 ? whole : whole.subarray(0, end + 1);
}

taskFile('cmdline', 0o444, commandLine);

guard(
  taskFile('environ', 0o400, (kernel, { task, reader }) => {
    const { mm } = task;
    if (mm === null) return '';
    return readTaskMemory(kernel, reader, task, mm.envStart, Math.min(mm.envEnd - mm.envStart, MAX_BYTES));
  }),
);

guard(taskFile('auxv', 0o400, (_kernel, { task }) => task.mm?.auxv ?? ''));

/** "start-end perms offset major:minor inode", and the name from column 73. */
export function mapLine(kernel: Kernel, reader: Task, task: Task, vma: Vma): string {
  const { flags, file } = vma;
  const permissions = `${flags.read ? 'r' : '-'}${flags.write ? 'w' : '-'}${flags.execute ? 'x' : '-'}${flags.shared ? 's' : 'p'}`;
  const superBlock = file === null ? undefined : kernel.vfs.superBlocks.get(file.inode.superBlock);
  const device = superBlock?.deviceNumber ?? 0;
  const offset = hex(file === null ? 0 : vma.offset, 8);
  const place = `${hex(majorOf(device), 2)}:${hex(minorOf(device), 2)}`;
  const start = `${hex(vma.start, 8)}-${hex(vma.end, 8)} ${permissions} ${offset} ${place} ${file?.inode.number ?? 0}`;
  const name = nameOf(kernel, reader, task, vma);
  return name === '' ? `${start} \n` : `${start.padEnd(72)} ${name}\n`;
}

function nameOf(kernel: Kernel, reader: Task, task: Task, vma: Vma): string {
  if (vma.file !== null) return escapeBytes(placeText(kernel, reader, vma.file), '\n');
  if (vma.flags.name !== '') return vma.flags.name;
  const { mm } = task;
  if (mm === null) return '';
  if (vma.start <= mm.brk && vma.end >= mm.startBrk && mm.startBrk !== mm.brk) return '[heap]';
  return vma.start <= mm.startStack && vma.end >= mm.startStack ? '[stack]' : '';
}

guard(
  taskFile('maps', 0o444, (kernel, { task, reader }) => {
    return (task.mm?.vmas ?? []).map((vma) => mapLine(kernel, reader, task, vma)).join('');
  }),
);
