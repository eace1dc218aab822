// What the x87 families share when they declare instructions.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32 } from '../exec/wasm.ts';
import type { Form, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import type { Index } from './x87-stack.ts';
import { leaveStack } from './x87-stack.ts';
import { notePointers, waitForExceptions } from './x87-state.ts';

export const zero = i32.const(0);
export const one = i32.const(1);

export function declare(
  mnemonic: string,
  forms: readonly Form[],
  emit: (e: InstructionEmitter, ...operands: Operand[]) => void,
): Instruction {
  return instruction({
    mnemonic,
    source: `SDM vol. 2, ${mnemonic.toUpperCase()}`,
    feature: 'x87',
    forms,
    emit,
  });
}
/** One that works on the context, without begin() and finish() of x87-stack.ts. */
export const declareGeneral: typeof declare = (mnemonic, forms, emit) =>
  declare(mnemonic, forms, (e, ...operands) => {
    leaveStack(e);
    emit(e, ...operands);
  });
/** One that works on registers only: it waits before and notes its address behind. */
export function onStack(
  mnemonic: string,
  forms: readonly Form[],
  emit: (e: InstructionEmitter, ...operands: Operand[]) => void,
): Instruction {
  return declareGeneral(mnemonic, forms, (e, ...operands) => {
    waitForExceptions(e);
    emit(e, ...operands);
    notePointers(e);
  });
}
export const call = (e: InstructionEmitter, name: string, ...values: Code[]): void =>
  e.emit(e.call(name, e.context, ...values));

/** The i of ST(i): a number where it is known while code is made. */
export const indexOf = (e: InstructionEmitter, sti: Operand): Index =>
  e.constant(sti) ?? e.let('i32', e.stIndex(sti));
export const codeOf = (i: Index): Code => (typeof i === 'number' ? i32.const(i) : i);
