// mq-deadline (block/mq-deadline.c): reads and writes sorted by block, served in ascending batches; a request whose
// deadline has passed goes first; reads are preferred, but after two batches of reads a batch of writes must come.
import type { Request } from '../request.ts';
import type { IoScheduler } from './scheduler.ts';

const READ_EXPIRE_NS = 500_000_000;
const WRITE_EXPIRE_NS = 5_000_000_000;
const FIFO_BATCH = 16;
const WRITES_STARVED = 2;

interface DeadlineData {
  /** Sorted by first block. */
  reads: Request[];
  writes: Request[];
  batch: 'read' | 'write';
  batchLeft: number;
  starved: number;
}

const dataOf = (data: unknown): DeadlineData => data as DeadlineData; // made by newData below

function insertSorted(queue: Request[], request: Request): void {
  let index = queue.length;
  while (index > 0 && (queue[index - 1]?.first ?? 0) > request.first) index--;
  queue.splice(index, 0, request);
}

function takeAt(queue: Request[], index: number): Request | undefined {
  return queue.splice(index, 1)[0];
}

const oldest = (queue: readonly Request[]): number => {
  let best = 0;
  queue.forEach((request, index) => {
    if (request.id < (queue[best]?.id ?? Infinity)) best = index;
  });
  return best;
};

export const mqDeadline: IoScheduler = {
  name: 'mq-deadline',
  newData: (): DeadlineData => ({ reads: [], writes: [], batch: 'read', batchLeft: 0, starved: 0 }),
  insert(data, request) {
    const state = dataOf(data);
    insertSorted(request.kind === 'read' ? state.reads : state.writes, request);
  },
  next(data, nowNs, headBlock) {
    const state = dataOf(data);
    const { reads, writes } = state;
    if (reads.length === 0 && writes.length === 0) return undefined;
    const current = state.batch === 'read' ? reads : writes;
    if (state.batchLeft > 0 && current.length > 0) {
      state.batchLeft--;
      const ahead = current.findIndex((request) => request.first >= headBlock);
      if (ahead >= 0) return takeAt(current, ahead);
    }
    const writesAreDue = writes.length > 0 && (reads.length === 0 || state.starved >= WRITES_STARVED);
    state.starved = writesAreDue || writes.length === 0 ? 0 : state.starved + 1;
    state.batch = writesAreDue ? 'write' : 'read';
    state.batchLeft = FIFO_BATCH - 1;
    const queue = writesAreDue ? writes : reads;
    const first = oldest(queue);
    const limit = writesAreDue ? WRITE_EXPIRE_NS : READ_EXPIRE_NS;
    if (nowNs - (queue[first]?.submittedNs ?? nowNs) > limit) return takeAt(queue, first);
    const ahead = queue.findIndex((request) => request.first >= headBlock);
    return takeAt(queue, Math.max(ahead, 0));
  },
  *waiting(data) {
    yield* dataOf(data).reads;
    yield* dataOf(data).writes;
  },
};
