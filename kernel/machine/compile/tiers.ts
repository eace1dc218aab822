// Who executes an instruction of a compiled region: code written by emit.ts ('inline'), the interpreter's handler called
// from the region ('handler'), or the interpreter after the region was left ('leaves').
//
// Inline serves what emits by the vocabulary only. A handler serves what works on the context, where registers must lie
// then. What changes privilege, paging or the way the run loop goes on leaves.

import { adx } from '../isa/adx.ts';
import { aes } from '../isa/aes.ts';
import { avxCompare } from '../isa/avx-compare.ts';
import { avxMemory } from '../isa/avx-memory.ts';
import { avxVector } from '../isa/avx-vector.ts';
import { f16c } from '../isa/f16c.ts';
import { fma } from '../isa/fma.ts';
import { movbe } from '../isa/movbe.ts';
import { pclmul } from '../isa/pclmul.ts';
import { sha } from '../isa/sha.ts';
import { arithmetic } from '../isa/arithmetic.ts';
import { avx } from '../isa/avx.ts';
import { bits } from '../isa/bits.ts';
import { bmi } from '../isa/bmi.ts';
import { branch } from '../isa/branch.ts';
import type { Family, Instruction } from '../isa/declare.ts';
import { exchange } from '../isa/exchange.ts';
import { logic } from '../isa/logic.ts';
import { move } from '../isa/move.ts';
import { multiply } from '../isa/multiply.ts';
import { shift } from '../isa/shift.ts';
import { sseConvert } from '../isa/sse-convert.ts';
import { sseFloat } from '../isa/sse-float.ts';
import { sseInteger } from '../isa/sse-integer.ts';
import { sseMove } from '../isa/sse-move.ts';
import { sseRound } from '../isa/sse-round.ts';
import { sseShuffle } from '../isa/sse-shuffle.ts';
import { sseState } from '../isa/sse-state.ts';
import { sseString } from '../isa/sse-string.ts';
import { stack } from '../isa/stack.ts';
import { string } from '../isa/string.ts';
import { system } from '../isa/system.ts';
import { x87 } from '../isa/x87.ts';
import { x87Control } from '../isa/x87-control.ts';
import { x87Remainder } from '../isa/x87-remainder.ts';
import { x87Transcendental } from '../isa/x87-transcendental.ts';
import { x87Trigonometry } from '../isa/x87-trigonometry.ts';

export type Tier = 'inline' | 'handler' | 'leaves';

const FAMILIES: readonly (readonly [tier: Tier, families: readonly Family[]])[] = [
  ['inline', [arithmetic, logic, shift, bits, multiply, move, exchange, stack, branch, bmi]],
  ['inline', [sseMove, sseInteger, sseShuffle, sseFloat, sseConvert, sseRound, sseString]],
  ['inline', [x87, x87Control, x87Remainder, x87Transcendental, x87Trigonometry]],
  ['handler', [string, sseState, system, movbe, adx, aes, pclmul, sha]],
  ['handler', [avx, avxVector, avxMemory, avxCompare, fma, f16c]],
];

/** By mnemonic, where it is not as in the rest of the family. */
const EXCEPTIONS: Readonly<Record<string, Tier>> = {
  nop: 'inline',
  'lfence/mfence/sfence': 'inline',
  // They work on XMM0 or selectors in the context
  pblendvb: 'handler',
  pcmpestrm: 'handler',
  pcmpistrm: 'handler',
  blendvps: 'handler',
  blendvpd: 'handler',
  enter: 'handler',
  // Whole images
  fnstenv: 'handler',
  fldenv: 'handler',
  fnsave: 'handler',
  frstor: 'handler',
  // They end the slice, or change what the loop must look at
  popf: 'leaves',
  syscall: 'leaves',
  ud: 'leaves',
  int: 'leaves',
  int1: 'leaves',
  int3: 'leaves',
  into: 'leaves',
  'ins/outs': 'leaves',
};

const tiers = new Map<Instruction, Tier>();
for (const [tier, families] of FAMILIES)
  for (const family of families)
    for (const instruction of family.instructions)
      tiers.set(instruction, EXCEPTIONS[instruction.mnemonic] ?? tier);

export const tierOf = (instruction: Instruction): Tier => tiers.get(instruction) ?? 'leaves';
