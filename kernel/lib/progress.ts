// How far a writer that had to wait has come within one call. A call that gave up with BLOCKED runs again from its start;
// what it has already moved stands here, in the object that it writes to, by task.
export interface WriterProgress {
  /** Tells the task from an earlier one of the same tid. */
  readonly startNs: number;
  done: number;
}

export type Progress = Map<number, WriterProgress>;

interface Writer {
  readonly tid: number;
  readonly startNs: number;
}

/** Bytes that earlier starts of this call have moved; the record is taken away. */
export function takeProgress(progress: Progress, writer: Writer): number {
  const found = progress.get(writer.tid);
  if (found === undefined) return 0;
  progress.delete(writer.tid);
  return found.startNs === writer.startNs ? found.done : 0;
}

/** Remembers what has moved, just before the call gives up. */
export function keepProgress(progress: Progress, writer: Writer, done: number): void {
  if (done > 0) progress.set(writer.tid, { startNs: writer.startNs, done });
}
