// Process groups and sessions as signals and terminals see them: members, and whether a group is orphaned.
import type { Kernel } from '../state.ts';
import type { Process } from '../process/process.ts';
import type { Tid } from '../sched/task.ts';

/** The process with this pid, zombies included. */
export function findProcess(kernel: Kernel, pid: Tid): Process | undefined {
  const process = kernel.tasks.get(pid)?.process;
  return process?.pid === pid ? process : undefined;
}

/** Every process, in order of creation, zombies included. */
export function* processes(kernel: Kernel): Generator<Process> {
  for (const task of kernel.tasks.values()) {
    if (task.tid === task.process.pid) yield task.process;
  }
}

/** Processes of a group, zombies included. */
export function groupMembers(kernel: Kernel, pgid: Tid): Process[] {
  return [...processes(kernel)].filter((process) => process.pgid === pgid);
}

/**
 * Whether no member has a parent in another group of the same session (POSIX's orphaned process group): nobody could
 * continue it, so terminal stops are ignored there. `leaving` is looked at as if it were gone.
 */
export function isOrphanedGroup(kernel: Kernel, pgid: Tid, leaving: Process | null = null): boolean {
  for (const member of groupMembers(kernel, pgid)) {
    if (member === leaving || member.dead || member.parent === 0) continue;
    const parent = findProcess(kernel, member.parent);
    if (parent === undefined || parent.parent === 0) continue; // children of init count as orphans
    if (parent.pgid !== pgid && parent.sid === member.sid) return false;
  }
  return true;
}

/** Whether some member is stopped. */
export function hasStoppedMember(kernel: Kernel, pgid: Tid): boolean {
  return groupMembers(kernel, pgid).some((member) => member.stopped !== null);
}
