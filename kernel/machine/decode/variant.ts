// Variants of a form by number, so that handlers can be looked up.

import type { Variant } from '../exec/emit.ts';
import type { Decoded } from './decode.ts';
import type { FormEntry } from './opcode-map.ts';

const ADDRESSINGS = ['none', 'base', 'index', 'full'] as const;
const REPEATS = ['none', 'rep', 'repne'] as const;

export function variantKey(entry: FormEntry, variant: Variant): number {
  let key = entry.id;
  key = key * 3 + (variant.operandSize === 2 ? 0 : variant.operandSize === 4 ? 1 : 2);
  key = key * 4 + ADDRESSINGS.indexOf(variant.addressing);
  key = key * 3 + REPEATS.indexOf(variant.repeat);
  return key * 2 + (variant.address32 ? 1 : 0);
}

export function variantOf(decoded: Decoded, entry: FormEntry): Variant {
  const matters = entry.options.includes('a32');
  return {
    operandSize: decoded.operandSize,
    addressing: decoded.addressing,
    repeat: decoded.repeat,
    address32: matters && decoded.address32,
  };
}
