// What the CPU model advertises: its features (the decoder's gate) and the CPUID leaves that follow from them.

import type { CpuidLeaf } from './isa/cpuid-leaves.ts';
import { cpuidLeaves } from './isa/cpuid-leaves.ts';
import type { Feature, Instruction } from './isa/declare.ts';
import { FEATURES } from './isa/declare.ts';
import { families } from './isa/index.ts';
import { cpuidOf } from './isa/system.ts';
import type { CpuModel } from './machine.ts';

/** What x86-64-v3 and the crypto extensions add to x86-64-v2. */
const BEYOND_V2: readonly Feature[] = [
  'rdseed', 'fsgsbase', 'erms', 'avx', 'avx2', 'bmi1', 'bmi2', 'lzcnt', 'movbe', 'adx', 'aes', 'pclmulqdq', 'sha', 'f16c', 'fma',
]; // prettier-ignore

export const MODEL_FEATURES: Record<CpuModel, readonly Feature[]> = {
  v2: FEATURES.filter((feature) => !BEYOND_V2.includes(feature)),
  v3: FEATURES,
};

/** What CPUID answers on this model. */
export const leavesOf = (model: CpuModel): CpuidLeaf[] => cpuidLeaves(MODEL_FEATURES[model]);

/** The instructions that exist on this CPU; the others decode as undefined. */
export function instructionForCpu(model: CpuModel): Instruction[] {
  const features = MODEL_FEATURES[model];
  return families
    .flatMap((family) => family.instructions)
    .filter((declared) => declared.feature === undefined || features.includes(declared.feature))
    .map((declared) => (declared.mnemonic === 'cpuid' ? cpuidOf(features) : declared));
}
