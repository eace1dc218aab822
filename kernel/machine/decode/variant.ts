// Variants of a form by number, so that handlers can be looked up.

import type { Variant } from '../exec/emit.ts';
import type { Decoded } from './decode.ts';
import type { FormEntry } from './opcode-map.ts';

/** One number for a variant of a form. */
export function variantKey(entry: FormEntry, variant: Variant): number {
  const { addressing, repeat } = variant;
  let key = entry.id * 16 + variant.operandSize;
  key = key * 4 + (addressing === 'none' ? 0 : addressing === 'base' ? 1 : addressing === 'index' ? 2 : 3);
  key = key * 4 + (repeat === 'none' ? 0 : repeat === 'rep' ? 1 : 2);
  return key * 2 + (variant.address32 ? 1 : 0);
}

/** A comparison and the condition of the branch behind it. */
export const fusedKey = (key: number, condition: number): number => key * 16 + condition;

export function variantOf(decoded: Decoded, entry: FormEntry): Variant {
  const matters = entry.can.address32;
  return {
    operandSize: decoded.operandSize,
    addressing: decoded.addressing,
    repeat: decoded.repeat,
    address32: matters && decoded.address32,
  };
}
