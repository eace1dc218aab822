// Further files of each task: accounting, limits, scheduling, waiting, OOM (proc(5)).
import { oomScore } from '../mm/oom.ts';
import { EACCES, EINVAL, EPERM } from '../abi/errno.ts';
import { CAP } from '../abi/capability.ts';
import { policyNumbers } from '../abi/scheduling.ts';
import { priorityOf } from '../sched/core.ts';
import type { Task } from '../sched/task.ts';
import { hasCapability } from './access.ts';
import { threadsOfTask } from './processes.ts';
import { hex } from './text.ts';
import { guard, procFile, taskFile } from './tree.ts';

function ioText(tasks: readonly Task[]): string {
  const sum = { readChars: 0, writeChars: 0, readCalls: 0, writeCalls: 0, readBytes: 0, writeBytes: 0 };
  for (const { io } of tasks) {
    sum.readChars += io.readChars;
    sum.writeChars += io.writeChars;
    sum.readCalls += io.readCalls;
    sum.writeCalls += io.writeCalls;
    sum.readBytes += io.readBytes;
    sum.writeBytes += io.writeBytes;
  }
  return (
    `rchar: ${sum.readChars}\nwchar: ${sum.writeChars}\nsyscr: ${sum.readCalls}\nsyscw: ${sum.writeCalls}\n` +
    `read_bytes: ${sum.readBytes}\nwrite_bytes: ${sum.writeBytes}\ncancelled_write_bytes: 0\n`
  );
}

guard([
  procFile('/proc/{pid}/io', 0o400, (kernel, { task }) => ioText(threadsOfTask(kernel, task))),
  procFile('/proc/{pid}/task/{tid}/io', 0o400, (_kernel, { task }) => ioText([task])),
]);

const LIMITS: readonly (readonly [number, string, string])[] = [
  [0, 'Max cpu time', 'seconds'], [1, 'Max file size', 'bytes'], [2, 'Max data size', 'bytes'], [3, 'Max stack size', 'bytes'],
  [4, 'Max core file size', 'bytes'], [5, 'Max resident set', 'bytes'], [6, 'Max processes', 'processes'],
  [7, 'Max open files', 'files'], [8, 'Max locked memory', 'bytes'], [9, 'Max address space', 'bytes'],
  [10, 'Max file locks', 'locks'], [11, 'Max pending signals', 'signals'], [12, 'Max msgqueue size', 'bytes'],
  [13, 'Max nice priority', ''], [14, 'Max realtime priority', ''], [15, 'Max realtime timeout', 'us'],
]; // prettier-ignore

taskFile('limits', 0o444, (_kernel, { task }) => {
  const shown = (value: number | undefined): string =>
    (value === undefined || value === Infinity ? 'unlimited' : String(value)).padEnd(20);
  const head = `${'Limit'.padEnd(25)} ${'Soft Limit'.padEnd(20)} ${'Hard Limit'.padEnd(20)} ${'Units'.padEnd(10)}\n`;
  return LIMITS.reduce((text, [index, name, unit]) => {
    const limit = task.process.rlimits[index];
    const line = `${name.padEnd(25)} ${shown(limit?.current)} ${shown(limit?.maximum)}`;
    return `${text}${line} ${unit === '' ? '' : unit.padEnd(10)}\n`;
  }, head);
});

/** No control groups are mounted: every task is in the root of the one hierarchy. */
taskFile('cgroup', 0o444, () => '0::/\n');
guard(taskFile('wchan', 0o444, (_kernel, { task }) => (task.wchan === '' ? '0' : task.wchan)));
guard(
  taskFile('stack', 0o400, (_kernel, { task, reader }) => {
    if (!hasCapability(reader, CAP.SYS_ADMIN)) return EACCES;
    return task.wchan === '' ? '' : `[<0>] ${task.wchan}\n`;
  }),
);
guard(
  taskFile('syscall', 0o400, (_kernel, { task }) => {
    if (task.state === 'running') return 'running\n';
    return task.call === null ? `-1 0x0 0x0\n` : `${task.call.number}\n`;
  }),
);
taskFile('schedstat', 0o444, (_kernel, { task }) => {
  const { sumExecNs, waitSumNs, switchCount } = task.sched;
  return `${Math.floor(sumExecNs)} ${Math.floor(waitSumNs)} ${switchCount}\n`;
});
taskFile('sched', 0o644, (_kernel, { task }) => {
  const ms = (ns: number): string =>
    `${Math.floor(ns / 1e6)}.${String(Math.floor(ns) % 1_000_000).padStart(6, '0')}`;
  const { sched } = task;
  const rows: (readonly [string, string | number])[] = [
    ['se.exec_start', ms(sched.lastRanNs)], ['se.vruntime', ms(sched.vruntime)], ['se.sum_exec_runtime', ms(sched.sumExecNs)],
    ['se.nr_migrations', sched.migrations], ['nr_switches', task.voluntarySwitches + task.involuntarySwitches],
    ['nr_voluntary_switches', task.voluntarySwitches], ['nr_involuntary_switches', task.involuntarySwitches],
    ['policy', policyNumbers[sched.policy]], ['prio', priorityOf(task)], ['clock-delta', 0],
  ]; // prettier-ignore
  const head = `${task.comm} (${task.tid}, #threads: ${task.process.threads.size})\n${'-'.repeat(67)}\n`;
  return head + rows.map(([name, value]) => `${name.padEnd(45)}:${String(value).padStart(21)}\n`).join('');
});

taskFile('oom_score', 0o444, (kernel, { task }) => `${oomScore(kernel, task.process)}\n`);
taskFile('oom_score_adj', 0o644, (_kernel, { task }) => `${task.process.oomScoreAdj}\n`, (_kernel, { task, reader }, text) => {
  const value = Number(text.trim());
  if (!Number.isInteger(value) || value < -1000 || value > 1000) return EINVAL;
  if (value < task.process.oomScoreAdj && !hasCapability(reader, CAP.SYS_RESOURCE)) return EACCES;
  task.process.oomScoreAdj = value;
  return 0;
}); // prettier-ignore
taskFile('loginuid', 0o644, () => '4294967295', (_kernel, { reader }) => (hasCapability(reader, CAP.AUDIT_CONTROL) ? 0 : EPERM)); // prettier-ignore
taskFile('sessionid', 0o444, () => '4294967295');
taskFile('personality', 0o400, (_kernel, { task }) => `${hex(task.process.personality, 8)}\n`);
