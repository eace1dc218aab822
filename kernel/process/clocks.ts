// The clocks that programs can name (clock_gettime(2)), read in ns; CPU-time clocks of processes and threads too.
import { EINVAL, failed, type Failure } from '../abi/errno.ts';
import { CLOCK, TICK_NS } from '../abi/time.ts';
import type { Task } from '../sched/task.ts';
import { findProcess } from '../signal/groups.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { usageOfProcess } from './usage.ts';

const CPU_CLOCK_THREAD = 4;
const CPU_CLOCK_KIND = 3;

/** How a clock runs: with power-on time, with wall time, or with CPU time. */
export type ClockBase = 'monotonic' | 'wall' | 'cpu';

export function clockBase(clock: number): ClockBase | Failure {
  if (clock < 0) return 'cpu';
  switch (clock) {
    case CLOCK.REALTIME:
    case CLOCK.REALTIME_COARSE:
    case CLOCK.REALTIME_ALARM:
    case CLOCK.TAI:
      return 'wall';
    case CLOCK.MONOTONIC:
    case CLOCK.MONOTONIC_RAW:
    case CLOCK.MONOTONIC_COARSE:
    case CLOCK.BOOTTIME:
    case CLOCK.BOOTTIME_ALARM:
      return 'monotonic';
    case CLOCK.PROCESS_CPUTIME_ID:
    case CLOCK.THREAD_CPUTIME_ID:
      return 'cpu';
    default:
      return EINVAL;
  }
}

const isCoarse = (clock: number): boolean =>
  clock === CLOCK.REALTIME_COARSE || clock === CLOCK.MONOTONIC_COARSE;

export const clockResolutionNs = (clock: number): number => (isCoarse(clock) ? TICK_NS : 1);

/** A clock in ns. Coarse ones stand still between ticks, as the vDSO shows them. */
export function readClock(kernel: Kernel, task: Task, clock: number): number | Failure {
  const base = clockBase(clock);
  if (failed(base)) return base;
  if (base === 'cpu') return cpuClock(kernel, task, clock);
  const ns = isCoarse(clock) ? Math.floor(now(kernel) / TICK_NS) * TICK_NS : now(kernel);
  return base === 'wall' ? kernel.time.wallBaseNs + ns : ns;
}

/** Negative clock ids name a process or thread: ~pid << 3 | thread bit | kind (include/linux/posix-timers.h). */
function cpuClock(kernel: Kernel, task: Task, clock: number): number | Failure {
  if (clock === CLOCK.THREAD_CPUTIME_ID) return task.userNs + task.systemNs;
  if (clock === CLOCK.PROCESS_CPUTIME_ID) return processNs(kernel, task.process.pid);
  const pid = ~(clock >> 3);
  const kind = clock & CPU_CLOCK_KIND;
  if (kind === CPU_CLOCK_KIND) return EINVAL; // a file descriptor's clock: there is none
  const target = pid === 0 ? task : kernel.tasks.get(pid);
  if (target === undefined) return EINVAL;
  if ((clock & CPU_CLOCK_THREAD) !== 0) {
    return target.process === task.process ? target.userNs + target.systemNs : EINVAL;
  }
  return processNs(kernel, target.process.pid, kind === 1 ? 'user' : 'all');
}

function processNs(kernel: Kernel, pid: number, what: 'user' | 'all' = 'all'): number | Failure {
  const process = findProcess(kernel, pid);
  if (process === undefined) return EINVAL;
  const { userNs, systemNs } = usageOfProcess(kernel, process);
  return what === 'user' ? userNs : userNs + systemNs;
}

/** The power-on time at which a clock that runs by itself will show `ns`. */
export function monotonicWhen(kernel: Kernel, base: 'monotonic' | 'wall', ns: number): number {
  return base === 'wall' ? ns - kernel.time.wallBaseNs : ns;
}
