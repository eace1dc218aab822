// The seed of the numbers that RDRAND and RDSEED give (isa/random.ts).

import type { Machine } from './cpu.ts';
import { contextOf } from './cpu.ts';
import { SYSTEM } from './layout.ts';

/** What keeps the CPUs' sequences apart. */
const CPU_STEP = 0xd1b5_4a32_d192_ed03n;

/** From now on RDRAND and RDSEED of all CPUs follow from this seed. */
export function setRandomSeed(machine: Machine, seed: bigint): void {
  for (let cpu = 0; cpu < machine.config.cpuCount; cpu++) {
    const state = BigInt.asUintN(64, seed + CPU_STEP * BigInt(cpu));
    machine.view.setBigUint64(contextOf(cpu) + SYSTEM.random, state, true);
  }
}
