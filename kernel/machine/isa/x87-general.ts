// The long way of the frequent x87 instructions: one helper for each, with all classes of operands and all exceptions, called
// where the short one (x87-look.ts, x87-fast.ts) does not serve.

import type { Emitter } from '../exec/emitter.ts';
import type { Code, Type } from '../exec/wasm.ts';
import { i32, select } from '../exec/wasm.ts';
import type { Helper } from './declare.ts';
import {
  C0,
  C2,
  C3,
  CLASS,
  FLAG,
  SLOT,
  copySlot,
  invalid,
  isClass,
  noException,
  put,
  raise,
  setC1,
  significandOf,
} from './x87-state.ts';

/** What a value from memory is; REVERSED: it is operand A. */
export const KIND = { single: 0, double: 1, integer: 2 } as const;
export const REVERSED = 4;

const zero = i32.const(0);
const one = i32.const(1);
const i32s = (count: number): Type[] => Array.from({ length: count }, () => 'i32');
const run = (f: Emitter, name: string, ...values: Code[]): void => f.emit(f.call(name, f.context, ...values));

function convert(f: Emitter, value: Code, kind: Code, slot: Code): void {
  f.when(
    i32.and(kind, i32.const(KIND.integer)),
    () => run(f, 'x87FromInteger', value, slot),
    () =>
      f.when(
        i32.and(kind, i32.const(KIND.double)),
        () => run(f, 'x87FromDouble', value, slot),
        () => run(f, 'x87FromSingle', value, slot),
      ),
  );
}

/** x87AddStack(context, a, b, target, pops): ST(target) = ST(a) + ST(b). x87AddMemory(context, value, kind): ST(0) and a value. */
const arithmetic = (operation: string): Helper[] => [
  {
    name: `${operation}Stack`,
    parameters: i32s(5),
    emit(f, _context, a, b, target, pops) {
      run(f, 'x87Operands', a, b);
      run(f, operation);
      run(f, 'x87Finish', target, pops);
    },
  },
  {
    name: `${operation}Memory`,
    parameters: ['i32', 'i64', 'i32'],
    emit(f, _context, value, kind) {
      const reversed = i32.and(kind, i32.const(REVERSED));
      f.when(reversed, () => run(f, 'x87OperandB', zero), () => run(f, 'x87Operand', zero)); // prettier-ignore
      convert(f, value, kind, select(reversed, i32.const(SLOT.a), i32.const(SLOT.b)));
      run(f, operation);
      run(f, 'x87Finish', zero, zero);
    },
  },
];

const isAnyEmpty = (f: Emitter): Code =>
  i32.or(isClass(f, SLOT.a, CLASS.empty), isClass(f, SLOT.b, CLASS.empty));
/** FCOMI and FCMOVcc leave C1 unless there is a stack fault. */
function keepC1(f: Emitter): void {
  const before = i32.and(i32.shr_u(f.get('fsw'), i32.const(9)), one);
  setC1(f, select(isAnyEmpty(f), zero, before));
}
const underflowIfEmpty = (f: Emitter, slots: Code): void =>
  f.when(slots, () => invalid(f, FLAG.invalid | FLAG.stack));

/** The condition codes and the pops of a comparison whose operands are in A and B. */
function finishCompare(f: Emitter, quiet: Code, pops: Code): void {
  const codes = f.let('i32', f.call('x87Compare', f.context, quiet));
  f.set('fsw', i32.or(i32.and(f.get('fsw'), i32.const(~(C0 | C2 | C3))), codes));
  run(f, 'x87FinishStore', pops);
}

export const generalHelpers: readonly Helper[] = [
  ...['x87Add', 'x87Sub', 'x87Mul', 'x87Div'].flatMap(arithmetic),
  {
    // x87LoadMemory(context, value, kind): a float or integer is pushed
    name: 'x87LoadMemory',
    parameters: ['i32', 'i64', 'i32'],
    emit(f, _context, value, kind) {
      noException(f);
      convert(f, value, kind, i32.const(SLOT.a));
      run(f, 'x87Load');
      run(f, 'x87FinishPush');
    },
  },
  {
    // x87LoadStack(context, i): ST(i) is pushed
    name: 'x87LoadStack',
    parameters: ['i32', 'i32'],
    emit(f, _context, i) {
      run(f, 'x87Operand', i);
      copySlot(f, SLOT.r, SLOT.a);
      underflowIfEmpty(f, isClass(f, SLOT.a, CLASS.empty));
      run(f, 'x87FinishPush');
    },
  },
  {
    // x87LoadReal(context, significand, exponent): pushed as it is
    name: 'x87LoadReal',
    parameters: ['i32', 'i64', 'i32'],
    emit(f, _context, significand, exponent) {
      noException(f);
      put(f, SLOT.r, significand, exponent);
      run(f, 'x87FinishPush');
    },
  },
  {
    // x87Underflow(context, i, pops): what would have gone to ST(i) came from an empty register
    name: 'x87Underflow',
    parameters: i32s(3),
    emit(f, _context, i, pops) {
      noException(f);
      invalid(f, FLAG.invalid | FLAG.stack);
      run(f, 'x87Finish', i, pops);
    },
  },
  {
    // x87ToRegister(context): R = A, which is stored as it is; its significand
    name: 'x87ToRegister',
    parameters: ['i32'],
    result: 'i64',
    emit(f) {
      copySlot(f, SLOT.r, SLOT.a);
      underflowIfEmpty(f, isClass(f, SLOT.a, CLASS.empty));
      return significandOf(f, SLOT.r);
    },
  },
  {
    // x87Move(context, i, wanted): FCMOVcc
    name: 'x87Move',
    parameters: i32s(3),
    emit(f, _context, i, wanted) {
      run(f, 'x87Operands', zero, i);
      copySlot(f, SLOT.r, SLOT.a);
      f.when(wanted, () => copySlot(f, SLOT.r, SLOT.b));
      underflowIfEmpty(f, isAnyEmpty(f));
      keepC1(f);
      run(f, 'x87Finish', zero, zero);
    },
  },
  {
    // x87CompareStack(context, i, quiet, pops): ST(0) to ST(i)
    name: 'x87CompareStack',
    parameters: i32s(4),
    emit(f, _context, i, quiet, pops) {
      run(f, 'x87Operands', zero, i);
      finishCompare(f, quiet, pops);
    },
  },
  {
    // x87CompareMemory(context, value, kind, pops)
    name: 'x87CompareMemory',
    parameters: ['i32', 'i64', 'i32', 'i32'],
    emit(f, _context, value, kind, pops) {
      run(f, 'x87Operand', zero);
      convert(f, value, kind, i32.const(SLOT.b));
      finishCompare(f, zero, pops);
    },
  },
  {
    // x87CompareFlags(context, i, quiet, pops): the codes are the result
    name: 'x87CompareFlags',
    parameters: i32s(4),
    result: 'i32',
    emit(f, context, i, quiet, pops) {
      run(f, 'x87Operands', zero, i);
      const codes = f.let('i32', f.call('x87Compare', context, quiet));
      keepC1(f);
      run(f, 'x87FinishStore', pops);
      return codes;
    },
  },
  {
    // x87Exchange(context, i): ST(0) and ST(i) change places; empty ones become the default NaN
    name: 'x87Exchange',
    parameters: i32s(2),
    emit(f, context, i) {
      run(f, 'x87Operands', zero, i);
      const empty = (slot: number): Code => isClass(f, slot, CLASS.empty);
      f.when(isAnyEmpty(f), () => raise(f, FLAG.invalid | FLAG.stack));
      copySlot(f, SLOT.r, SLOT.a);
      f.when(empty(SLOT.a), () => invalid(f));
      run(f, 'x87Finish', i, zero);
      const stopped = i32.and(i32.and(f.get('fsw'), i32.const(0x80)), i32.load(context, SLOT.r + 16));
      f.when(i32.eqz(stopped), () => {
        copySlot(f, SLOT.r, SLOT.b);
        f.when(empty(SLOT.b), () => invalid(f));
        run(f, 'x87Finish', zero, zero);
      });
    },
  },
];
