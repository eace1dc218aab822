// Interrupts and the timer tick: what comes due between two slices.
import { countInterrupt, IRQ, nextInterruptNs, takeInterrupt } from '../machine/devices/board.ts';
import { processTick } from '../process/cpu-limits.ts';
import { irqHandlers } from '../sched/irq.ts';
import { runQueueOf, schedulerTick } from '../sched/core.ts';
import { sampleLoad } from '../sched/load.ts';
import type { Kernel } from '../state.ts';
import { charge, now } from '../time/clock.ts';
import { nextTimerNs, runTimers } from '../time/timers.ts';
import { COMM, U32, emit, isOn, tracepoint } from '../trace/tracepoint.ts';

const irqEntry = tracepoint('irq', 'irq_handler_entry', { irq: U32, name: COMM });
const irqExit = tracepoint('irq', 'irq_handler_exit', { irq: U32, ret: U32 });

/** CONFIG_HZ of the kernel that we follow. */
export const TICK_NS = 4_000_000;

/** When the next timer or device interrupt comes, or Infinity. */
export function nextEventNs(kernel: Kernel): number {
  const timerNs = nextTimerNs(kernel);
  return kernel.board.agenda.length === 0 ? timerNs : Math.min(timerNs, nextInterruptNs(kernel.board));
}

/** Takes every interrupt and fires every timer that is due on the running CPU. */
export function takeDueEvents(kernel: Kernel): void {
  const startNs = now(kernel);
  const queue = runQueueOf(kernel, kernel.cpu);
  for (
    let line = takeInterrupt(kernel.board, kernel.cpu, now(kernel));
    line >= 0;
    line = takeInterrupt(kernel.board, kernel.cpu, now(kernel))
  ) {
    charge(kernel, 'interrupt');
    const handler = irqHandlers[line];
    if (isOn(kernel, irqEntry)) emit(kernel, irqEntry, { irq: line, name: handler?.name ?? 'spurious' });
    handler?.handle(kernel);
    if (isOn(kernel, irqExit)) emit(kernel, irqExit, { irq: line, ret: 1 });
  }
  const irqNs = now(kernel) - startNs;
  queue.times.irq += irqNs;
  if (nextTimerNs(kernel) > now(kernel)) return;
  charge(kernel, 'interrupt');
  countInterrupt(kernel.board, kernel.cpu, IRQ.timer);
  runTimers(kernel, now(kernel));
  queue.times.softirq += now(kernel) - startNs - irqNs;
}

/** The periodic tick of a busy CPU: time slices, load averages. */
export function takeTick(kernel: Kernel): void {
  const queue = runQueueOf(kernel, kernel.cpu);
  const startNs = now(kernel);
  queue.nextTickNs = startNs + TICK_NS;
  countInterrupt(kernel.board, kernel.cpu, IRQ.timer);
  charge(kernel, 'timerTick');
  schedulerTick(kernel);
  if (queue.current !== null) processTick(kernel, queue.current);
  sampleLoad(kernel);
  queue.times.irq += now(kernel) - startNs;
}
