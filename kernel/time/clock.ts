// Virtual time. Each CPU has its own clock (ns since power-on), which grows by 1 ns an instruction and by what kernel
// paths charge; the CPU that runs now gives "now". Nothing here knows the host's clock.
import type { Kernel } from '../state.ts';
import { costs, type CostName } from './costs.ts';

export interface TimeState {
  /** Clock of each CPU, virtual ns since power-on. */
  cpuNs: Float64Array;
  /** CLOCK_REALTIME at power-on, ns since 1970, from the input log. A whole number of microseconds. */
  wallBaseNs: number;
}

/** Virtual ns since power-on on the CPU that is running the kernel now (CLOCK_MONOTONIC, CLOCK_BOOTTIME). */
export function now(kernel: Kernel): number {
  return kernel.time.cpuNs[kernel.cpu] ?? 0;
}

/** CLOCK_REALTIME in ns. */
export function wallNow(kernel: Kernel): number {
  return kernel.time.wallBaseNs + now(kernel);
}

/** Adds the modelled cost of a kernel path to the running CPU's clock and to the current task's system time. */
export function charge(kernel: Kernel, cost: CostName, times = 1): void {
  chargeNs(kernel, costs[cost].ns * times);
}

/** As charge, for a length that was computed. */
export function chargeNs(kernel: Kernel, ns: number): void {
  const cpuNs = kernel.time.cpuNs;
  cpuNs[kernel.cpu] = (cpuNs[kernel.cpu] ?? 0) + Math.round(ns); // virtual time is whole ns
}
