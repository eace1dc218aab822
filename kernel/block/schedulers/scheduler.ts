// The interface of I/O schedulers: they hold the requests that the device has not taken yet and choose the next.
import type { Request } from '../request.ts';

export interface IoScheduler {
  /** As /sys/block/DEV/queue/scheduler shows it. */
  readonly name: string;
  newData(): unknown;
  insert(data: unknown, request: Request): void;
  /** Takes the next request out; `headBlock` is where the last one ended. */
  next(data: unknown, nowNs: number, headBlock: number): Request | undefined;
  /** Requests that wait, for merging. */
  waiting(data: unknown): Iterable<Request>;
}
