// Kernel threads that file systems need. Starting one is process/'s business, which stands above: it puts its function into
// threadStarters, and calls startWantedThreads once kthreadd is there.
import type { Kernel } from '../../state.ts';

export const threadStarters: Record<
  string,
  (kernel: Kernel, name: string, comm: string, data: unknown) => unknown
> = {};

const KTHREADD = 2;

/** Starts a thread now, or as soon as threads can start. */
export function wantThread(kernel: Kernel, name: string, comm: string, data: unknown): void {
  kernel.vfs.wantedThreads.push({ name, comm, data });
  startWantedThreads(kernel);
}

export function startWantedThreads(kernel: Kernel): void {
  const start = threadStarters['process'];
  if (start === undefined || !kernel.tasks.has(KTHREADD)) return;
  for (const thread of kernel.vfs.wantedThreads.splice(0))
    start(kernel, thread.name, thread.comm, thread.data);
}
