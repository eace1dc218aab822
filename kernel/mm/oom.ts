// The out-of-memory killer (mm/oom_kill.c): when reclaim gets nothing and nothing is on its way to disk, the process with
// the most memory, shifted by oom_score_adj, is killed; who waits for memory goes on when it is gone.
import type { Process } from '../process/process.ts';
import type { Task } from '../sched/task.ts';
import { wakeTask } from '../sched/core.ts';
import { processes } from '../signal/groups.ts';
import { signalProcess, threadsOf } from '../signal/send.ts';
import type { Kernel } from '../state.ts';
import { printk } from '../trace/printk.ts';
import { emit, isOn, PID, tracepoint } from '../trace/tracepoint.ts';
import type { Mm } from './mm.ts';
import { LRU } from './memory-state.ts';

const markVictim = tracepoint('oom', 'mark_victim', { pid: PID });
const SIGKILL = 9;
const SI_KERNEL = 0x80;

/** The process's memory, or null when it has none left (zombies, kernel threads). */
function mmOf(kernel: Kernel, process: Process): Mm | null {
  for (const task of threadsOf(kernel, process)) if (task.mm !== null) return task.mm;
  return null;
}

/** Pages that killing it would free, shifted by its oom_score_adj; -Infinity for one that must not be killed. */
export function badness(kernel: Kernel, process: Process): number {
  const mm = mmOf(kernel, process);
  if (mm === null || process.pid === 1 || process.oomScoreAdj === -1000) return -Infinity;
  const points = mm.rss.anon + mm.rss.file + mm.rss.shmem + mm.rss.swap + mm.pageTablePages;
  return points + Math.trunc((process.oomScoreAdj * totalPages(kernel)) / 1000);
}

/** What /proc/PID/oom_score shows: 0 to 2000 (fs/proc/base.c, proc_oom_score). */
export function oomScore(kernel: Kernel, process: Process): number {
  const points = badness(kernel, process);
  if (points === -Infinity) return 0;
  return Math.max(0, Math.trunc(((1000 + Math.trunc((points * 1000) / totalPages(kernel))) * 2) / 3));
}

const totalPages = (kernel: Kernel): number => kernel.memory.managedPages + kernel.memory.swap.totalSlots;

/** Kills somebody; 'waiting' while an earlier victim has not gone yet, 'nobody' when there is no one to kill. */
export function outOfMemory(kernel: Kernel, task: Task | null): 'killed' | 'waiting' | 'nobody' {
  const { memory } = kernel;
  const earlier = memory.oomVictim === 0 ? undefined : kernel.tasks.get(memory.oomVictim)?.process;
  if (earlier !== undefined && mmOf(kernel, earlier) !== null) return 'waiting';
  let victim: Process | null = null;
  let most = -Infinity;
  for (const process of processes(kernel)) {
    const points = badness(kernel, process);
    if (points > most) [victim, most] = [process, points];
  }
  if (
    memory.tunables.oomKillAllocatingTask !== 0 &&
    task !== null &&
    badness(kernel, task.process) > -Infinity
  )
    victim = task.process;
  report(kernel, task);
  if (victim === null) {
    printk(kernel, 2, 'Out of memory and no killable processes...');
    return 'nobody';
  }
  kill(kernel, victim);
  return 'killed';
}

function kill(kernel: Kernel, victim: Process): void {
  const { memory } = kernel;
  const mm = mmOf(kernel, victim);
  const leader = threadsOf(kernel, victim)[0];
  if (mm === null || leader === undefined) return;
  memory.oomVictim = leader.tid;
  memory.oomKills++;
  memory.counters.oom_kill++;
  const kb = (pages: number): string => `${pages * 4}kB`;
  printk(
    kernel,
    3,
    `Out of memory: Killed process ${victim.pid} (${leader.comm}) total-vm:${kb(mm.totalPages)}, anon-rss:${kb(mm.rss.anon)}, ` +
      `file-rss:${kb(mm.rss.file)}, shmem-rss:${kb(mm.rss.shmem)}, UID:${leader.credentials.uid} pgtables:${kb(mm.pageTablePages)} ` +
      `oom_score_adj:${victim.oomScoreAdj}`,
  );
  if (isOn(kernel, markVictim)) emit(kernel, markVictim, { pid: victim.pid });
  // Whoever shares the memory dies with it.
  for (const process of [...processes(kernel)]) {
    if (mmOf(kernel, process) !== mm) continue;
    signalProcess(kernel, process, {
      signal: SIGKILL, code: SI_KERNEL, errno: 0, pid: 0, uid: 0, status: 0, address: 0, value: 0n,
    }); // prettier-ignore
    // It may wait for memory itself, and that wait does not end for signals.
    for (const thread of threadsOf(kernel, process)) {
      if (memory.freeWait.waiters.has(thread.tid)) wakeTask(kernel, thread);
    }
  }
}

function report(kernel: Kernel, task: Task | null): void {
  const { memory } = kernel;
  const comm = task?.comm ?? 'swapper';
  const adj = task?.process.oomScoreAdj ?? 0;
  printk(
    kernel,
    4,
    `${comm} invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), order=0, oom_score_adj=${adj}`,
  );
  const [inactiveAnon = 0, activeAnon = 0, inactiveFile = 0, activeFile = 0] = memory.lruPages;
  printk(
    kernel,
    4,
    `active_anon:${activeAnon} inactive_anon:${inactiveAnon} active_file:${activeFile} inactive_file:${inactiveFile} ` +
      `unevictable:${memory.lruPages[LRU.unevictable] ?? 0} dirty:${memory.dirtyPages} writeback:${memory.writebackPages} free:${memory.freePages}`,
  );
  printk(kernel, 4, `Free swap  = ${memory.swap.freeSlots * 4}kB`);
  printk(kernel, 4, `Total swap = ${memory.swap.totalSlots * 4}kB`);
  if (memory.tunables.oomDumpTasks === 0) return;
  printk(kernel, 6, 'Tasks state (memory values in pages):');
  printk(kernel, 6, '[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name');
  for (const process of processes(kernel)) {
    const mm = mmOf(kernel, process);
    const leader = threadsOf(kernel, process)[0];
    if (mm === null || leader === undefined) continue;
    const rss = mm.rss.anon + mm.rss.file + mm.rss.shmem;
    const columns = [
      `[${String(process.pid).padStart(7)}]`, String(leader.credentials.uid).padStart(5), String(process.pid).padStart(5),
      String(mm.totalPages).padStart(8), String(rss).padStart(8), String(mm.pageTablePages * 4096).padStart(8),
      String(mm.rss.swap).padStart(8), String(process.oomScoreAdj).padStart(13), leader.comm,
    ]; // prettier-ignore
    printk(kernel, 6, columns.join(' '));
  }
}
