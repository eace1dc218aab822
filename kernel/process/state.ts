// What process/ keeps for the whole machine: pid allocation, names of the host, futexes and the vDSO's pages.
import type { BootConfig } from '../state.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import type { Tid } from '../sched/task.ts';
import { newWaitQueue, type WaitQueue } from '../sched/wait-queue.ts';
import { newFutexState, type FutexState } from './futex.ts';

export interface ProcessState {
  lastPid: Tid;
  /** The highest number ever given: above it all are free. */
  highestPid: Tid;
  /** /proc/sys/kernel/pid_max. */
  pidMax: number;
  threadsMax: number;
  /** Forks since power-on, for /proc/stat. */
  forks: number;
  hostname: string;
  domainname: string;
  /** The process that reboot's Ctrl-Alt-Del signals: init. */
  initPid: Tid;
  /** Ctrl-Alt-Del: true reboots at once, false sends SIGINT to init (reboot(2)). */
  ctrlAltDelReboots: boolean;
  /** /proc/sys/kernel/randomize_va_space. */
  randomizeVaSpace: number;
  futexes: FutexState;
  /** Pages of the vDSO and its [vvar]; null until the first exec. */
  vdso: AddressSpace | null;
  /** syslog(2): the first line that READ and READ_ALL show. */
  logReadAt: number;
  logClearedAt: number;
  logArrived: WaitQueue;
  /** First frame of each task's kernel stack, by tid. */
  kernelStacks: Map<Tid, number>;
}

export const newProcessState = (config: BootConfig): ProcessState => ({
  lastPid: 0,
  highestPid: 0,
  pidMax: 32_768,
  threadsMax: Math.max(64, Math.floor(config.memoryBytes / (8 * 16_384))),
  forks: 0,
  hostname: config.hostname,
  domainname: '(none)',
  initPid: 1,
  ctrlAltDelReboots: true,
  randomizeVaSpace: 2,
  futexes: newFutexState(),
  vdso: null,
  logReadAt: 0,
  logClearedAt: 0,
  logArrived: newWaitQueue(),
  kernelStacks: new Map(),
});
