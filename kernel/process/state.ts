// What process/ keeps for the whole machine: pid allocation, names of the host, futexes and the vDSO's pages.
import type { BootConfig } from '../state.ts';
import type { Tid } from '../sched/task.ts';
import type { FutexState } from './futex.ts';
import { newFutexState } from './futex.ts';

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
  /** Frames of the vDSO image and of its [vvar] page; empty until the first exec. */
  vdsoFrames: number[];
  vvarFrame: number;
  nextTimerId: number;
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
  vdsoFrames: [],
  vvarFrame: 0,
  nextTimerId: 1,
});
