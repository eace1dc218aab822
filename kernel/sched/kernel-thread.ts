// Kernel threads by name: a step does a bounded bit of work and gives 0 (run me again), or BLOCKED after it has gone to
// sleep. The folder that owns a thread adds its step when it is loaded.
import type { Kernel } from '../state.ts';
import type { Task } from './task.ts';

export type KernelThreadStep = (kernel: Kernel, task: Task) => number;

export const kernelThreads: Record<string, KernelThreadStep> = {};
