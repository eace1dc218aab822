// What processes have used: times, faults, switches, blocks; of threads, of whole processes and of children.
import type { Task } from '../sched/task.ts';
import { threadsOf } from '../signal/send.ts';
import type { Kernel } from '../state.ts';
import { newUsage, type Process, type Usage } from './process.ts';

export function usageOfTask(task: Task): Usage {
  return {
    userNs: task.userNs,
    systemNs: task.systemNs,
    minorFaults: task.minorFaults,
    majorFaults: task.majorFaults,
    voluntarySwitches: task.voluntarySwitches,
    involuntarySwitches: task.involuntarySwitches,
    maxRssPages: task.mm?.peakRssPages ?? 0,
    readBlocks: Math.floor(task.io.readBytes / 512),
    writeBlocks: Math.floor(task.io.writeBytes / 512),
  };
}

export function addUsage(sum: Usage, more: Usage): void {
  sum.userNs += more.userNs;
  sum.systemNs += more.systemNs;
  sum.minorFaults += more.minorFaults;
  sum.majorFaults += more.majorFaults;
  sum.voluntarySwitches += more.voluntarySwitches;
  sum.involuntarySwitches += more.involuntarySwitches;
  sum.maxRssPages = Math.max(sum.maxRssPages, more.maxRssPages);
  sum.readBlocks += more.readBlocks;
  sum.writeBlocks += more.writeBlocks;
}

/** Of all threads, gone ones included. */
export function usageOfProcess(kernel: Kernel, process: Process): Usage {
  const sum = newUsage();
  addUsage(sum, process.goneUsage);
  for (const thread of threadsOf(kernel, process)) {
    if (thread.state !== 'zombie') addUsage(sum, usageOfTask(thread)); // a zombie leader is in goneUsage
  }
  return sum;
}
