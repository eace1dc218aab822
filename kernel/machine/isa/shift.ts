// Shifts and rotates. Counts are masked to 5 bits, or 6 with 64-bit operands; a masked count of 0 leaves the flags alone.
// Flags that the manual leaves undefined (O for counts above 1, C for counts above the width) have some value here.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import type { Family, Form, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';

function shiftForms(digit: number): Form[] {
  return [
    [`D0 /${digit}`, 'Eb,1'],
    [`D1 /${digit}`, 'Ev,1'],
    [`D2 /${digit}`, 'Eb,CL'],
    [`D3 /${digit}`, 'Ev,CL'],
    [`C0 /${digit} ib`, 'Eb,Ib'],
    [`C1 /${digit} ib`, 'Ev,Ib'],
  ];
}

function shifting(mnemonic: string, digit: number, writes: string, emit: Instruction['emit']): Instruction {
  const forms = shiftForms(digit);
  const alias = mnemonic === 'shl' ? shiftForms(6) : []; // SAL, documented by AMD
  return instruction({ mnemonic, source: 'SDM vol. 2B, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR', forms: [...forms, ...alias], writes, emit }); // prettier-ignore
}

const bit0 = (value: Code): Code => i32.and(i32.wrap_i64(value), i32.const(1));
/** Bit n of the value, as i32. */
const bitOf = (value: Code, n: Code): Code => bit0(i64.shr_u(value, n));
const countOf = (e: InstructionEmitter, count: Operand): Code =>
  e.let('i64', i64.and(e.read(count), i64.const(e.size === 8 ? 63 : 31)));
const topBit = (e: InstructionEmitter): Code => i64.const(e.size * 8 - 1);

const shl = shifting('shl', 4, 'OSZAPC', (e, target, countOperand) => {
  const a = e.read(target);
  const count = countOf(e, countOperand);
  const result = e.let('i64', i64.shl(a, count));
  e.write(target, result);
  e.when(i64.ne(count, i64.const(0)), () => {
    const carry =
      e.size === 8
        ? e.let('i32', bitOf(a, i64.sub(i64.const(64), count)))
        : e.let('i32', bitOf(result, i64.const(e.size * 8)));
    e.flagsOf(result, carry, i32.xor(bitOf(result, topBit(e)), carry));
  });
});

const shr = shifting('shr', 5, 'OSZAPC', (e, target, countOperand) => {
  const a = e.read(target);
  const count = countOf(e, countOperand);
  const result = e.let('i64', i64.shr_u(a, count));
  e.write(target, result);
  e.when(i64.ne(count, i64.const(0)), () =>
    e.flagsOf(result, bitOf(a, i64.sub(count, i64.const(1))), bitOf(a, topBit(e))),
  );
});

const sar = shifting('sar', 7, 'OSZAPC', (e, target, countOperand) => {
  const a = e.readSigned(target);
  const count = countOf(e, countOperand);
  const result = e.let('i64', i64.shr_s(a, count));
  e.write(target, result);
  e.when(i64.ne(count, i64.const(0)), () =>
    e.flagsOf(result, bit0(i64.shr_s(a, i64.sub(count, i64.const(1)))), i32.const(0)),
  );
});

/** Rotates left by a count below the width. */
function rotatedLeft(e: InstructionEmitter, a: Code, count: Code): Code {
  if (e.size === 8) return e.let('i64', i64.rotl(a, count));
  if (e.size === 4) return e.let('i64', i64.extend_i32_u(i32.rotl(i32.wrap_i64(a), i32.wrap_i64(count))));
  const width = e.size * 8;
  const turn = e.let('i64', i64.and(count, i64.const(width - 1)));
  const up = i64.shl(a, turn);
  return e.zero(i64.or(up, i64.shr_u(a, i64.sub(i64.const(width), turn))));
}

function rotate(left: boolean): Instruction['emit'] {
  return (e, target, countOperand) => {
    const a = e.read(target);
    const count = countOf(e, countOperand);
    const turn = left ? count : i64.and(i64.sub(i64.const(0), count), i64.const(e.size * 8 - 1));
    const result = rotatedLeft(e, a, e.let('i64', turn));
    e.write(target, result);
    e.when(i64.ne(count, i64.const(0)), () => {
      const top = e.let('i32', bitOf(result, topBit(e)));
      const carry = left ? e.let('i32', bit0(result)) : top;
      const other = left ? carry : bitOf(result, i64.const(e.size * 8 - 2));
      e.setFlags({ C: carry, O: i32.xor(top, other) });
    });
  };
}

/** Through carry: a rotation of width + 1 bits, done bit by bit as it is rare. */
function rotateThroughCarry(left: boolean): Instruction['emit'] {
  return (e, target, countOperand) => {
    const a = e.read(target);
    const width = e.size * 8;
    const masked = countOf(e, countOperand);
    const turns = e.variable('i64');
    turns.set(e.size < 4 ? i64.rem_u(masked, i64.const(width + 1)) : masked);
    const any = e.let('i64', turns.get);
    const value = e.variable('i64');
    const carry = e.variable('i64');
    const out = e.variable('i64');
    value.set(a);
    carry.set(i64.extend_i32_u(e.flag('C')));
    e.loop((leave) => {
      leave(i64.eqz(turns.get));
      if (left) {
        out.set(i64.and(i64.shr_u(value.get, i64.const(width - 1)), i64.const(1)));
        value.set(e.zero(i64.or(i64.shl(value.get, i64.const(1)), carry.get)));
      } else {
        out.set(i64.and(value.get, i64.const(1)));
        value.set(i64.or(i64.shr_u(value.get, i64.const(1)), i64.shl(carry.get, i64.const(width - 1))));
      }
      carry.set(out.get);
      turns.set(i64.sub(turns.get, i64.const(1)));
    });
    e.write(target, value.get);
    e.when(i64.ne(any, i64.const(0)), () => {
      const top = e.let('i32', bitOf(value.get, i64.const(width - 1)));
      const newCarry = e.let('i32', i32.wrap_i64(carry.get));
      const other = left ? newCarry : bitOf(value.get, i64.const(width - 2));
      e.setFlags({ C: newCarry, O: i32.xor(top, other) });
    });
  };
}

/** shld, shrd: bits come in from the second operand. */
function double(mnemonic: string, opcode: number, left: boolean): Instruction {
  const hex = (byte: number): string => byte.toString(16).toUpperCase();
  return instruction({
    mnemonic,
    source: `SDM vol. 2B, ${mnemonic.toUpperCase()}`,
    forms: [
      [`0F ${hex(opcode)} /r ib`, 'Ev,Gv,Ib'],
      [`0F ${hex(opcode + 1)} /r`, 'Ev,Gv,CL'],
    ],
    writes: 'OSZAPC',
    emit(e, target, filler, countOperand) {
      const a = e.read(target);
      const b = e.read(filler);
      const width = e.size * 8;
      const count = countOf(e, countOperand);
      const rest = i64.sub(i64.const(width), count);
      const nonZero = i64.ne(count, i64.const(0));
      const result = e.variable('i64');
      result.set(a);
      e.when(nonZero, () => {
        if (e.size === 2) {
          // Counts of 17 to 31 shift the second operand out again, and the first comes in: as Intel's CPUs do
          const wide = left
            ? i64.or(i64.shl(a, i64.const(32)), i64.or(i64.shl(b, i64.const(16)), a))
            : i64.or(i64.shl(a, i64.const(32)), i64.or(i64.shl(b, i64.const(16)), a));
          const shifted = left ? i64.shr_u(i64.shl(wide, count), i64.const(32)) : i64.shr_u(wide, count);
          result.set(i64.and(shifted, i64.const(0xffff)));
        } else {
          const main = left ? i64.shl(a, count) : i64.shr_u(a, count);
          const fill = left ? i64.shr_u(b, rest) : i64.shl(b, rest);
          result.set(i64.or(main, fill));
        }
      });
      e.write(target, result.get);
      e.when(nonZero, () => {
        const last = left ? i64.sub(i64.const(width), count) : i64.sub(count, i64.const(1));
        const carry = e.let('i32', bitOf(a, last));
        const changed = i32.xor(bitOf(result.get, topBit(e)), bitOf(a, topBit(e)));
        e.flagsOf(result.get, carry, changed);
      });
    },
  });
}

export const shift: Family = {
  instructions: [
    shl,
    shr,
    sar,
    shifting('rol', 0, 'OC', rotate(true)),
    shifting('ror', 1, 'OC', rotate(false)),
    shifting('rcl', 2, 'OC', rotateThroughCarry(true)),
    shifting('rcr', 3, 'OC', rotateThroughCarry(false)),
    double('shld', 0xa4, true),
    double('shrd', 0xac, false),
  ],
};
