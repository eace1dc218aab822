// Which tracepoints are listened to.
import type { Kernel } from '../state.ts';
import { tracepoints } from './tracepoint.ts';

/** Starts or stops listening: to all tracepoints, or to those of the named systems or `system:name`s. */
export function enableTracepoints(kernel: Kernel, wanted: readonly string[] | 'all'): void {
  for (const point of tracepoints) {
    const isWanted =
      wanted === 'all' || wanted.includes(point.system) || wanted.includes(`${point.system}:${point.name}`);
    if (isWanted) kernel.trace.enabled[point.id] = 1;
  }
  kernel.trace.on = kernel.trace.enabled.includes(1);
}
