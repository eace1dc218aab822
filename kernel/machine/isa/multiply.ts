// Multiplication and division.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { VECTOR } from '../machine.ts';
import { CONTEXT } from '../layout.ts';
import type { Family, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';

const RAX = 0;
const RDX = 2;
const bitsOf = (e: InstructionEmitter): Code => i64.const(e.size * 8);

/** One-operand forms: the double-width result goes to AX, DX:AX, EDX:EAX or RDX:RAX. */
function wide(signed: boolean) {
  return (e: InstructionEmitter, source: Operand): void => {
    const b = signed ? e.readSigned(source) : e.read(source);
    const accumulator = e.register(RAX, e.size === 8 ? 8 : e.size === 4 ? 4 : e.size === 2 ? 2 : 1);
    const a = signed ? e.sign(accumulator) : accumulator;
    const product = e.let('i64', i64.mul(a, b));
    const low = signed ? e.sign(product) : e.zero(product);
    if (e.size === 1) {
      e.setRegister(RAX, product, 2);
      const tooLarge = e.let('i32', i64.ne(product, low));
      return e.flagsOf(product, tooLarge, tooLarge);
    }
    const high =
      e.size === 8
        ? e.let('i64', e.call(signed ? 'mulHighSigned' : 'mulHigh', a, b))
        : e.let('i64', i64.shr_s(product, bitsOf(e)));
    e.setRegister(RAX, product, e.size === 4 ? 4 : e.size === 2 ? 2 : 8);
    e.setRegister(RDX, high, e.size === 4 ? 4 : e.size === 2 ? 2 : 8);
    const tooLarge =
      e.size < 8
        ? i64.ne(product, low)
        : i64.ne(high, signed ? i64.shr_s(product, i64.const(63)) : i64.const(0));
    const overflow = e.let('i32', tooLarge);
    e.flagsOf(product, overflow, overflow);
  };
}

const mul = instruction({
  mnemonic: 'mul',
  source: 'SDM vol. 2B, MUL',
  forms: [
    ['F6 /4', 'Eb'],
    ['F7 /4', 'Ev'],
  ],
  writes: 'OSZAPC',
  emit: wide(false),
});

const imul = instruction({
  mnemonic: 'imul',
  source: 'SDM vol. 2A, IMUL',
  forms: [
    ['F6 /5', 'Eb'],
    ['F7 /5', 'Ev'],
    ['0F AF /r', 'Gv,Ev'],
    ['6B /r ib', 'Gv,Ev,sIb'],
    ['69 /r iz', 'Gv,Ev,Iz'],
  ],
  writes: 'OSZAPC',
  emit(e, target, first?: Operand, second?: Operand) {
    if (first === undefined) return wide(true)(e, target);
    const a = second === undefined ? e.readSigned(target) : e.readSigned(first);
    const b = second === undefined ? e.readSigned(first) : e.readSigned(second);
    const product = e.let('i64', i64.mul(a, b));
    e.write(target, product);
    e.flags('imul', a, b, product);
  },
});

/** Quotient to the accumulator, remainder above it. */
function storeDivision(e: InstructionEmitter, quotient: Code, remainder: Code): void {
  if (e.size === 1) {
    const both = i64.or(i64.and(quotient, i64.const(255)), i64.shl(remainder, i64.const(8)));
    return e.setRegister(RAX, both, 2);
  }
  const bytes = e.size === 8 ? 8 : e.size === 4 ? 4 : 2;
  e.setRegister(RAX, quotient, bytes);
  e.setRegister(RDX, remainder, bytes);
}

/** The dividend of up to 64 bits: AX, DX:AX or EDX:EAX. */
function narrowDividend(e: InstructionEmitter): Code {
  if (e.size === 1) return e.register(RAX, 2);
  const bytes = e.size === 2 ? 2 : 4;
  return e.let('i64', i64.or(e.register(RAX, bytes), i64.shl(e.register(RDX, bytes), bitsOf(e))));
}

const remainderOfWide = (e: InstructionEmitter): Code => e.let('i64', i64.load(e.context, CONTEXT.scratch));

const div = instruction({
  mnemonic: 'div',
  source: 'SDM vol. 2A, DIV',
  forms: [
    ['F6 /6', 'Eb'],
    ['F7 /6', 'Ev'],
  ],
  writes: 'OSZAPC',
  emit(e, source) {
    const divisor = e.read(source);
    e.raiseIf(i64.eqz(divisor), VECTOR.divideError);
    if (e.size === 8) {
      const high = e.register(RDX);
      e.raiseIf(i64.ge_u(high, divisor), VECTOR.divideError);
      const quotient = e.let('i64', e.call('divideWide', e.context, high, e.register(RAX), divisor));
      return storeDivision(e, quotient, remainderOfWide(e));
    }
    const dividend = narrowDividend(e);
    const quotient = e.let('i64', i64.div_u(dividend, divisor));
    e.raiseIf(i64.ne(i64.shr_u(quotient, bitsOf(e)), i64.const(0)), VECTOR.divideError);
    storeDivision(e, quotient, e.let('i64', i64.rem_u(dividend, divisor)));
  },
});

/** RDX:RAX by a 64-bit divisor: by magnitudes. */
function divideSignedWide(e: InstructionEmitter, divisor: Code): void {
  const low = e.register(RAX);
  const high = e.register(RDX);
  const quotient = e.variable('i64');
  const remainder = e.variable('i64');
  const isMinimum = i64.eq(low, i64.const(-(2n ** 63n)));
  const overflows = i32.and(isMinimum, i64.eq(divisor, i64.const(-1)));
  e.when(
    i64.eq(high, i64.shr_s(low, i64.const(63))),
    () => {
      e.raiseIf(overflows, VECTOR.divideError);
      quotient.set(i64.div_s(low, divisor));
      remainder.set(i64.rem_s(low, divisor));
    },
    () => {
      const sign = e.let('i64', i64.shr_s(high, i64.const(63)));
      const divisorSign = e.let('i64', i64.shr_s(divisor, i64.const(63)));
      const magnitude = (value: Code, mask: Code): Code => i64.sub(i64.xor(value, mask), mask);
      const lowPart = e.let('i64', magnitude(low, sign));
      const borrow = i64.and(sign, i64.extend_i32_u(i64.eqz(lowPart)));
      const highPart = e.let('i64', i64.add(i64.xor(high, sign), borrow));
      const by = e.let('i64', magnitude(divisor, divisorSign));
      e.raiseIf(i64.ge_u(highPart, by), VECTOR.divideError);
      const unsigned = e.let('i64', e.call('divideWide', e.context, highPart, lowPart, by));
      const resultSign = e.let('i64', i64.xor(sign, divisorSign));
      quotient.set(magnitude(unsigned, resultSign));
      const wrongSign = i64.ne(i64.shr_s(quotient.get, i64.const(63)), resultSign);
      e.raiseIf(i32.and(wrongSign, i64.ne(unsigned, i64.const(0))), VECTOR.divideError);
      remainder.set(magnitude(remainderOfWide(e), sign));
    },
  );
  storeDivision(e, quotient.get, remainder.get);
}

const idiv = instruction({
  mnemonic: 'idiv',
  source: 'SDM vol. 2A, IDIV',
  forms: [
    ['F6 /7', 'Eb'],
    ['F7 /7', 'Ev'],
  ],
  writes: 'OSZAPC',
  emit(e, source) {
    const divisor = e.readSigned(source);
    e.raiseIf(i64.eqz(divisor), VECTOR.divideError);
    if (e.size === 8) return divideSignedWide(e, divisor);
    const raw = narrowDividend(e);
    const dividend = e.size === 1 ? e.sign(raw, 2) : e.size === 2 ? e.sign(raw, 4) : raw;
    const isMinimum = i64.eq(dividend, i64.const(-(2n ** 63n)));
    e.raiseIf(i32.and(isMinimum, i64.eq(divisor, i64.const(-1))), VECTOR.divideError);
    const quotient = e.let('i64', i64.div_s(dividend, divisor));
    e.raiseIf(i64.ne(e.sign(quotient), quotient), VECTOR.divideError);
    storeDivision(e, quotient, e.let('i64', i64.rem_s(dividend, divisor)));
  },
});

const instructions: readonly Instruction[] = [mul, imul, div, idiv];
export const multiply: Family = { instructions };
