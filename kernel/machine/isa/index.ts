// All families of instructions. A family is a file of this folder that exports a Family; add yours to the list.

import { adx } from './adx.ts';
import { aes } from './aes.ts';
import { arithmetic } from './arithmetic.ts';
import type { Family, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import { avx } from './avx.ts';
import { avxCompare } from './avx-compare.ts';
import { avxMemory } from './avx-memory.ts';
import { avxVector } from './avx-vector.ts';
import { bits } from './bits.ts';
import { bmi } from './bmi.ts';
import { branch } from './branch.ts';
import { exchange } from './exchange.ts';
import { f16c } from './f16c.ts';
import { far } from './far.ts';
import { fma } from './fma.ts';
import { logic } from './logic.ts';
import { movbe } from './movbe.ts';
import { move } from './move.ts';
import { pclmul } from './pclmul.ts';
import { randomNumbers } from './random.ts';
import { sha } from './sha.ts';
import { sseConvert } from './sse-convert.ts';
import { sseFloat } from './sse-float.ts';
import { sseInteger } from './sse-integer.ts';
import { sseMove } from './sse-move.ts';
import { sseRound } from './sse-round.ts';
import { sseShuffle } from './sse-shuffle.ts';
import { sseState } from './sse-state.ts';
import { sseString } from './sse-string.ts';
import { multiply } from './multiply.ts';
import { shift } from './shift.ts';
import { segment } from './segment.ts';
import { stack } from './stack.ts';
import { string } from './string.ts';
import { system } from './system.ts';
import { systemControl } from './system-control.ts';
import { systemMsr } from './system-msr.ts';
import { systemPort } from './system-port.ts';
import { systemTable } from './system-table.ts';
import { x87 } from './x87.ts';
import { x87Control } from './x87-control.ts';
import { x87Remainder } from './x87-remainder.ts';
import { x87Transcendental } from './x87-transcendental.ts';
import { x87Trigonometry } from './x87-trigonometry.ts';
import { xsave } from './xsave.ts';

export const families: readonly Family[] = [
  arithmetic,
  logic,
  shift,
  bits,
  multiply,
  move,
  exchange,
  stack,
  branch,
  string,
  system,
  segment,
  far,
  systemControl,
  systemTable,
  systemMsr,
  systemPort,
  sseMove,
  sseInteger,
  sseShuffle,
  sseFloat,
  sseConvert,
  sseRound,
  sseString,
  sseState,
  x87,
  x87Control,
  x87Remainder,
  x87Transcendental,
  x87Trigonometry,
  bmi,
  movbe,
  adx,
  randomNumbers,
  aes,
  pclmul,
  sha,
  f16c,
  fma,
  avx,
  avxCompare,
  avxVector,
  avxMemory,
  xsave,
];

/** What the decoder puts where no instruction can be decoded. */
export function faultInstruction(vector: number): Instruction {
  return instruction({
    mnemonic: `exception ${vector}`,
    source: 'SDM vol. 3A, 6.15',
    forms: [],
    emit: (e) => e.raise(vector),
  });
}
