// alarm and setitimer: one real-time timer for each process, in time/timers; two on CPU time, looked at by the tick
// (kernel/time/itimer.c, posix-cpu-timers.c).
import { SIGALRM, SIGPROF, SIGVTALRM } from '../abi/signal.ts';
import { findProcess } from '../signal/groups.ts';
import { signalProcess } from '../signal/send.ts';
import { kernelSignal } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { addTimer, cancelTimer, timerActions } from '../time/timers.ts';
import type { Process } from './process.ts';
import { usageOfProcess } from './usage.ts';

export interface TimerSetting {
  readonly valueNs: number; // until it fires; 0: off
  readonly intervalNs: number;
}

export type ItimerKind = 'real' | 'virtual' | 'prof';

/** CPU time that an ITIMER_VIRTUAL (user) or ITIMER_PROF (user and system) counts. */
function cpuNs(kernel: Kernel, process: Process, kind: 'virtual' | 'prof'): number {
  const { userNs, systemNs } = usageOfProcess(kernel, process);
  return kind === 'virtual' ? userNs : userNs + systemNs;
}

export function getItimer(kernel: Kernel, process: Process, kind: ItimerKind): TimerSetting {
  const { itimers } = process;
  if (kind === 'real') {
    const valueNs = itimers.real === 0 ? 0 : Math.max(1000, itimers.real - now(kernel));
    return { valueNs, intervalNs: itimers.realIntervalNs };
  }
  const at = kind === 'virtual' ? itimers.virtualNs : itimers.profNs;
  const intervalNs = kind === 'virtual' ? itimers.virtualIntervalNs : itimers.profIntervalNs;
  return { valueNs: at === 0 ? 0 : Math.max(1000, at - cpuNs(kernel, process, kind)), intervalNs };
}

export function setItimer(kernel: Kernel, process: Process, kind: ItimerKind, setting: TimerSetting): void {
  const { itimers } = process;
  if (kind === 'real') {
    setRealTimer(kernel, process, setting);
    return;
  }
  const at = setting.valueNs === 0 ? 0 : cpuNs(kernel, process, kind) + setting.valueNs;
  if (kind === 'virtual') {
    itimers.virtualNs = at;
    itimers.virtualIntervalNs = setting.intervalNs;
    return;
  }
  itimers.profNs = at;
  itimers.profIntervalNs = setting.intervalNs;
}

function setRealTimer(kernel: Kernel, process: Process, { valueNs, intervalNs }: TimerSetting): void {
  const { itimers } = process;
  if (itimers.realTimer !== 0) cancelTimer(kernel, itimers.realTimer);
  itimers.real = valueNs === 0 || valueNs === Infinity ? 0 : now(kernel) + valueNs;
  itimers.realIntervalNs = intervalNs;
  itimers.realTimer =
    itimers.real === 0 ? 0 : addTimer(kernel, itimers.real, { kind: 'itimer-real', pid: process.pid });
}

timerActions['itimer-real'] = (kernel, action) => {
  const process = findProcess(kernel, Number(action['pid']));
  if (process === undefined || process.dead) return;
  const { itimers } = process;
  itimers.realTimer = 0;
  const firedAt = itimers.real;
  itimers.real = 0;
  signalProcess(kernel, process, kernelSignal(SIGALRM));
  const { realIntervalNs } = itimers;
  if (realIntervalNs <= 0) return;
  const missed = Math.floor((now(kernel) - firedAt) / realIntervalNs) + 1;
  itimers.real = firedAt + missed * realIntervalNs;
  itimers.realTimer = addTimer(kernel, itimers.real, { kind: 'itimer-real', pid: process.pid });
};

export function cancelItimers(kernel: Kernel, process: Process): void {
  if (process.itimers.realTimer !== 0) cancelTimer(kernel, process.itimers.realTimer);
  process.itimers = {
    real: 0, realIntervalNs: 0, realTimer: 0, virtualNs: 0, virtualIntervalNs: 0, profNs: 0, profIntervalNs: 0,
  }; // prettier-ignore
}

/** The tick's part: CPU-time timers of the running process. */
export function checkItimers(kernel: Kernel, process: Process): void {
  const { itimers } = process;
  if (itimers.virtualNs !== 0 && cpuNs(kernel, process, 'virtual') >= itimers.virtualNs) {
    itimers.virtualNs =
      itimers.virtualIntervalNs === 0 ? 0 : cpuNs(kernel, process, 'virtual') + itimers.virtualIntervalNs;
    signalProcess(kernel, process, kernelSignal(SIGVTALRM));
  }
  if (itimers.profNs !== 0 && cpuNs(kernel, process, 'prof') >= itimers.profNs) {
    itimers.profNs =
      itimers.profIntervalNs === 0 ? 0 : cpuNs(kernel, process, 'prof') + itimers.profIntervalNs;
    signalProcess(kernel, process, kernelSignal(SIGPROF));
  }
}
