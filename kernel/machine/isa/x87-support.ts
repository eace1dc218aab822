// What the x87 families share when they declare instructions.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32 } from '../exec/wasm.ts';
import type { Form, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
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
/** One that works on registers only: it waits before and notes its address behind. */
export function onStack(
  mnemonic: string,
  forms: readonly Form[],
  emit: (e: InstructionEmitter, ...operands: Operand[]) => void,
): Instruction {
  return declare(mnemonic, forms, (e, ...operands) => {
    waitForExceptions(e);
    emit(e, ...operands);
    notePointers(e);
  });
}
export const call = (e: InstructionEmitter, name: string, ...values: Code[]): void =>
  e.emit(e.call(name, e.context, ...values));

/** The formats in memory that arithmetic takes. */
export type Format = 'single' | 'double' | 'integer';
export const floatOf = (size: number): Format => (size === 4 ? 'single' : 'double');
export function fromMemory(e: InstructionEmitter, format: Format, source: Operand, slot: number): void {
  const value = format === 'integer' ? e.readSigned(source) : e.read(source);
  const helper = { single: 'x87FromSingle', double: 'x87FromDouble', integer: 'x87FromInteger' }[format];
  call(e, helper, value, i32.const(slot));
}
