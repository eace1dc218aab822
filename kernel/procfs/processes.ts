// Which names the variable parts of /proc have: {pid}, {tid}, {fd}; and the links self and thread-self.
import type { Task, Tid } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { procLink, variables } from './tree.ts';

const isNumber = (name: string): boolean => /^(0|[1-9]\d{0,9})$/.test(name);

/** The leader of a process by its pid, zombies included. Threads have no directory of their own in /proc's listing. */
export function leaderOf(kernel: Kernel, name: string | undefined): Task | undefined {
  if (name === undefined || !isNumber(name)) return undefined;
  const task = kernel.tasks.get(Number(name));
  return task?.state === 'dead' ? undefined : task;
}

/** Tids of a process in order. */
export function threadIds(kernel: Kernel, task: Task): Tid[] {
  return [...task.process.threads].filter((tid) => kernel.tasks.has(tid)).sort((a, b) => a - b);
}

export function threadsOfTask(kernel: Kernel, task: Task): Task[] {
  return threadIds(kernel, task).flatMap((tid) => kernel.tasks.get(tid) ?? []);
}

variables['{pid}'] = {
  list(kernel) {
    const pids: number[] = [];
    for (const task of kernel.tasks.values())
      if (task.tid === task.process.pid && task.state !== 'dead') pids.push(task.tid);
    return pids.sort((a, b) => a - b).map(String);
  },
  // As in Linux, a thread's number leads to its process's files although it is not listed.
  has: (kernel, _names, name) => leaderOf(kernel, name) !== undefined,
};

variables['{tid}'] = {
  list(kernel, names) {
    const task = leaderOf(kernel, names[0]);
    return task === undefined ? [] : threadIds(kernel, task).map(String);
  },
  has(kernel, names, name) {
    const task = leaderOf(kernel, names[0]);
    return (
      task !== undefined &&
      isNumber(name) &&
      task.process.threads.has(Number(name)) &&
      kernel.tasks.has(Number(name))
    );
  },
};

/** The task of a path below /proc/{pid}: its thread where the path goes through task/{tid}. */
function taskNamed(kernel: Kernel, names: readonly string[]): Task | undefined {
  return leaderOf(kernel, names.length > 1 ? names[1] : names[0]);
}

variables['{fd}'] = {
  list(kernel, names) {
    const files = taskNamed(kernel, names)?.files.open ?? [];
    return files.flatMap((file, fd) => (file ? [String(fd)] : []));
  },
  has: (kernel, names, name) => isNumber(name) && Boolean(taskNamed(kernel, names)?.files.open[Number(name)]),
};

procLink('/proc/self', (_kernel, { reader }) => String(reader.process.pid));
procLink('/proc/thread-self', (_kernel, { reader }) => `${reader.process.pid}/task/${reader.tid}`);
