// What the timer tick looks at in the running process: timers on CPU time, RLIMIT_CPU and RLIMIT_RTTIME
// (kernel/time/posix-cpu-timers.c run_posix_cpu_timers).
import { RLIMIT } from '../abi/resource.ts';
import { SIGKILL, SIGXCPU } from '../abi/signal.ts';
import type { Task } from '../sched/task.ts';
import { signalProcess } from '../signal/send.ts';
import { kernelSignal } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { checkItimers } from './itimers.ts';
import { checkCpuTimers } from './posix-timers.ts';
import { usageOfProcess } from './usage.ts';

const NS_PER_SECOND = 1_000_000_000;

/** To be called at each tick of a CPU that runs this task. Costs a few tests when nothing is set. */
export function processTick(kernel: Kernel, task: Task): void {
  const { process } = task;
  if (process.itimers.virtualNs !== 0 || process.itimers.profNs !== 0) checkItimers(kernel, process);
  if (process.posixTimers.size > 0) checkCpuTimers(kernel, task);
  const limit = process.rlimits[RLIMIT.CPU];
  if (limit === undefined || limit.current === Infinity) return;
  const { userNs, systemNs } = usageOfProcess(kernel, process);
  const seconds = (userNs + systemNs) / NS_PER_SECOND;
  if (seconds >= limit.maximum) {
    signalProcess(kernel, process, kernelSignal(SIGKILL));
    return;
  }
  if (seconds < limit.current) return;
  signalProcess(kernel, process, kernelSignal(SIGXCPU));
  limit.current++; // once a second from here on, as Linux does
}
