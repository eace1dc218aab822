// All families of instructions. A family is a file of this folder that exports a Family; add yours to the list.

import { arithmetic } from './arithmetic.ts';
import type { Family, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import { move } from './move.ts';

export const families: readonly Family[] = [arithmetic, move];

/** What the decoder puts where no instruction can be decoded. */
export function faultInstruction(vector: number): Instruction {
  return instruction({
    mnemonic: `exception ${vector}`,
    source: 'SDM vol. 3A, 6.15',
    forms: [],
    emit: (e) => e.raise(vector),
  });
}
