// Every task owns 16 KiB of RAM for its kernel stack and a slot in the slab cache of tasks, as on Linux; modules run on
// that stack. Where it lies is kept by tid.
import { failed, type Failure } from '../abi/errno.ts';
import { allocateFrames, freeFrames } from '../mm/buddy.ts';
import type { Tid } from '../sched/task.ts';
import type { Kernel } from '../state.ts';

const STACK_ORDER = 2;

export function allocateKernelStack(kernel: Kernel, tid: Tid): 0 | Failure {
  const frame = allocateFrames(kernel, STACK_ORDER, 'kernelStack');
  if (failed(frame)) return frame;
  kernel.process.kernelStacks.set(tid, frame);
  return 0;
}

export function freeKernelStack(kernel: Kernel, tid: Tid): void {
  const frame = kernel.process.kernelStacks.get(tid);
  if (frame === undefined) return;
  kernel.process.kernelStacks.delete(tid);
  freeFrames(kernel, frame, STACK_ORDER);
}
