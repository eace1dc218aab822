// Asking open files for events, and sleeping until one of many has some: what poll, select and epoll are made of.
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../abi/poll.ts';
import { fileOperations } from '../fs/vfs/inode.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import type { WaitQueue } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';

export interface PollState {
  readonly events: number;
  readonly queues: readonly WaitQueue[];
}

/** Files that cannot be waited for are always ready (Linux's DEFAULT_POLLMASK). */
const ALWAYS_READY: PollState = { events: POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM, queues: [] };

/** Events that hold now and the queues that change them. */
export function pollFile(kernel: Kernel, file: OpenFile): PollState {
  return fileOperations[file.operations]?.poll?.(kernel, file) ?? ALWAYS_READY;
}

export const canPoll = (file: OpenFile): boolean => fileOperations[file.operations]?.poll !== undefined;
