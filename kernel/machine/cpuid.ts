// What the CPU model advertises: its features (the decoder's gate) and the CPUID leaves that follow from them.

import type { Feature, Instruction } from './isa/declare.ts';
import { FEATURES } from './isa/declare.ts';
import { families } from './isa/index.ts';
import type { MachineConfig } from './machine.ts';

/** x86-64-v2, without XSAVE. */
export const MODEL_FEATURES: Record<MachineConfig['cpuModel'], readonly Feature[]> = { v2: FEATURES };

/** The instructions that exist on this CPU; the others decode as undefined. */
export function instructionForCpu(model: MachineConfig['cpuModel']): Instruction[] {
  const features = MODEL_FEATURES[model];
  return families
    .flatMap((family) => family.instructions)
    .filter((declared) => declared.feature === undefined || features.includes(declared.feature));
}
