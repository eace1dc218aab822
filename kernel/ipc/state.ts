// What IPC keeps for the whole machine: named pipes in use, counters, limits, SysV objects.
import type { MqueueState } from './mqueue.ts';
import type { Pipe } from './pipe.ts';
import type { SysvState } from './sysv-state.ts';
import { newSysvState } from './sysv-state.ts';

export interface IpcState {
  /** Named pipes that somebody has open, by super block and inode ("3:117"). */
  fifos: Map<string, Pipe>;
  /** Epoll entries stand in wait queues under the negative of their number. */
  lastEpollEntry: number;
  /** /proc/sys/fs/pipe-max-size */
  pipeMaxBytes: number;
  sysv: SysvState;
  mqueues: MqueueState;
}

export const newIpcState = (): IpcState => ({
  fifos: new Map(),
  lastEpollEntry: 0,
  pipeMaxBytes: 1_048_576,
  sysv: newSysvState(),
  mqueues: { queues: new Map(), maxMessages: 10, maxBytes: 8192, maxQueues: 256 },
});
