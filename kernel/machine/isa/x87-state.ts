// The x87's registers, stack and exceptions, as every x87 family uses them (SDM vol. 1, chapter 8).
//
// An instruction takes its operands into slots A and B of the scratch area, each with its class; a computation leaves
// the result in slot R, the exceptions in FLAGS and the rounding direction in C1; a finishing helper then does what the
// masks allow: stores, pops or pushes, sets the status word. Nothing architectural changes before that.
// Of a context's full tag word only "empty" counts here; FNSTENV works out the other tags from the registers.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, ret, select } from '../exec/wasm.ts';
import { CONTEXT } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Helper, Operand } from './declare.ts';

/** Exceptions, at their places in the status and control words; stack fault is of the status word only. */
export const FLAG = { invalid: 1, denormal: 2, zeroDivide: 4, overflow: 8, underflow: 16, precision: 32, stack: 64 } as const; // prettier-ignore
export const C0 = 0x100;
export const C1 = 0x200;
export const C2 = 0x400;
export const C3 = 0x4000;
const SUMMARY = 0x80;
const SUMMARY_AND_BUSY = 0x8080;
const STACK_UNDERFLOW = FLAG.invalid | FLAG.stack;
/** With one of these unmasked nothing is computed. */
const BEFORE = FLAG.invalid | FLAG.denormal | FLAG.zeroDivide;

/** What kind of number a slot holds, one bit each. */
export const CLASS = { normal: 1, zero: 2, infinite: 4, quiet: 8, signalling: 16, denormal: 32, unsupported: 64, empty: 128 } as const; // prettier-ignore
export const NAN = CLASS.quiet | CLASS.signalling;
export const NO_NUMBER = NAN | CLASS.unsupported | CLASS.empty;

/** Places in the context: a slot is a significand (u64), sign and exponent (i32), class (i32). */
export const SLOT = { a: CONTEXT.scratch, b: CONTEXT.scratch + 16, r: CONTEXT.scratch + 32 } as const;
const FLAGS_AT = CONTEXT.scratch + 48;
const C1_AT = CONTEXT.scratch + 52;
/** 64 bytes for computations with more than one result. */
export const WORK = CONTEXT.scratch + 64;

export const RETURN: Code = 0x0f;
export const TOP_BIT = i64.const(1n << 63n);
export const DEFAULT_NAN = { significand: i64.const(3n << 62n), exponent: i32.const(0xffff) } as const;
export const BIAS = 16383;

export const significandOf = (f: Emitter, slot: number): Code => i64.load(f.context, slot);
export const exponentOf = (f: Emitter, slot: number): Code => i32.load(f.context, slot + 8);
export const classOf = (f: Emitter, slot: number): Code => i32.load(f.context, slot + 12);
export const signOf = (f: Emitter, slot: number): Code => i32.shr_u(exponentOf(f, slot), i32.const(15));
export const isClass = (f: Emitter, slot: number, kinds: number): Code => i32.and(classOf(f, slot), i32.const(kinds)); // prettier-ignore
export const either = (f: Emitter): Code => i32.or(classOf(f, SLOT.a), classOf(f, SLOT.b));
export function put(f: Emitter, slot: number, significand: Code, exponent: Code): void {
  f.emit(i64.store(f.context, significand, slot));
  f.emit(i32.store(f.context, exponent, slot + 8));
}
export const setClass = (f: Emitter, slot: number, kind: Code): void =>
  f.emit(i32.store(f.context, kind, slot + 12));
export const copySlot = (f: Emitter, to: number, from: number): void =>
  put(f, to, significandOf(f, from), exponentOf(f, from));

/** R = A, of which a pseudo-denormal becomes the normal number that it is. */
export function keepA(f: Emitter): void {
  const significand = significandOf(f, SLOT.a);
  const exponent = exponentOf(f, SLOT.a);
  const denormal = i32.eqz(i32.and(exponent, i32.const(0x7fff)));
  put(f, SLOT.r, significand, i32.or(exponent, i32.and(denormal, i64.lt_s(significand, i64.const(0)))));
}

export const flagsOf = (f: Emitter): Code => i32.load(f.context, FLAGS_AT);
export const raise = (f: Emitter, flags: Code | number): void => {
  const code = typeof flags === 'number' ? i32.const(flags) : flags;
  f.emit(i32.store(f.context, i32.or(flagsOf(f), code), FLAGS_AT));
};
export const setC1 = (f: Emitter, value: Code): void => f.emit(i32.store(f.context, value, C1_AT));
export function noException(f: Emitter): void {
  f.emit(i64.store(f.context, i64.const(0), FLAGS_AT)); // C1 follows it
}
export const roundingMode = (f: Emitter): Code =>
  i32.and(i32.shr_u(f.get('fcw'), i32.const(10)), i32.const(3));
export const isUnmasked = (f: Emitter, flag: number): Code => i32.eqz(i32.and(f.get('fcw'), i32.const(flag)));
export function invalid(f: Emitter, flags: number = FLAG.invalid): void {
  raise(f, flags);
  put(f, SLOT.r, DEFAULT_NAN.significand, DEFAULT_NAN.exponent);
}
/** A denormal among the operands; class bit 32 becomes flag 2. */
export const noteDenormals = (f: Emitter, kinds: Code): void =>
  raise(f, i32.and(i32.shr_u(kinds, i32.const(4)), i32.const(FLAG.denormal)));

// The stack

const topOf = (f: Emitter): Code => i32.shr_u(f.get('fsw'), i32.const(11));
/** Number of the physical register of ST(i), in a local. */
export const physical = (f: Emitter, i: Code): Code =>
  f.let('i32', i32.and(i32.add(topOf(f), i), i32.const(7)));
export const placeOf = (f: Emitter, number: Code): Code =>
  f.let('i32', i32.add(f.context, i32.shl(number, i32.const(4))));
const tagShift = (number: Code): Code => i32.shl(number, i32.const(1));
export const isEmpty = (f: Emitter, number: Code): Code =>
  i32.eq(i32.and(i32.shr_u(f.get('ftw'), tagShift(number)), i32.const(3)), i32.const(3));
export const tagEmpty = (f: Emitter, number: Code): void =>
  f.set('ftw', i32.or(f.get('ftw'), i32.shl(i32.const(3), tagShift(number))));
const tagValid = (f: Emitter, number: Code): void =>
  f.set('ftw', i32.and(f.get('ftw'), i32.xor(i32.shl(i32.const(3), tagShift(number)), i32.const(-1))));
export const moveTop = (f: Emitter, by: Code): void => {
  const moved = i32.and(i32.add(f.get('fsw'), i32.shl(by, i32.const(11))), i32.const(0x3800));
  f.set('fsw', i32.or(i32.and(f.get('fsw'), i32.const(~0x3800)), moved));
};
export function storeRegister(f: Emitter, number: Code, slot: number): void {
  const place = placeOf(f, number);
  f.emit(i64.store(place, significandOf(f, slot), CONTEXT.x87));
  f.emit(i32.store16(place, exponentOf(f, slot), CONTEXT.x87 + 8));
  tagValid(f, number);
}

const classify: Helper = {
  name: 'x87Classify',
  parameters: ['i32', 'i64', 'i32'],
  result: 'i32',
  emit(f, _context, significand, exponent) {
    const field = f.let('i32', i32.and(exponent, i32.const(0x7fff)));
    const answer = (kind: number): void => f.emit(ret(i32.const(kind)));
    f.when(i32.eqz(field), () =>
      f.emit(ret(select(i64.eqz(significand), i32.const(CLASS.zero), i32.const(CLASS.denormal)))),
    );
    f.when(i64.ge_s(significand, i64.const(0)), () => answer(CLASS.unsupported));
    f.when(i32.ne(field, i32.const(0x7fff)), () => answer(CLASS.normal));
    f.when(i64.eq(significand, TOP_BIT), () => answer(CLASS.infinite));
    const quiet = i64.lt_s(i64.shl(significand, i64.const(1)), i64.const(0));
    return select(quiet, i32.const(CLASS.quiet), i32.const(CLASS.signalling));
  },
};

/** ST(i) into a slot. */
function takeInto(f: Emitter, i: Code, slot: number): void {
  const number = physical(f, i);
  const place = placeOf(f, number);
  const significand = f.let('i64', i64.load(place, CONTEXT.x87));
  const exponent = f.let('i32', i32.load16_u(place, CONTEXT.x87 + 8));
  put(f, slot, significand, exponent);
  const field = i32.and(exponent, i32.const(0x7fff));
  const usual = i32.and(
    i32.lt_u(i32.sub(field, i32.const(1)), i32.const(0x7ffe)),
    i64.lt_s(significand, i64.const(0)),
  );
  const kind = f.variable('i32');
  kind.set(i32.const(CLASS.normal));
  f.unlikely(i32.eqz(usual), () => kind.set(f.call('x87Classify', f.context, significand, exponent)));
  setClass(f, slot, select(isEmpty(f, number), i32.const(CLASS.empty), kind.get));
}

/**
 * No exceptions yet, and x87Operands(context, i, j): A = ST(i), B = ST(j); x87Operand(context, i): A = ST(i);
 * x87OperandB(context, i): B = ST(i).
 */
const operands: readonly Helper[] = [
  {
    name: 'x87Operands',
    parameters: ['i32', 'i32', 'i32'],
    emit(f, _context, i, j) {
      noException(f);
      takeInto(f, i, SLOT.a);
      takeInto(f, j, SLOT.b);
    },
  },
  {
    name: 'x87Operand',
    parameters: ['i32', 'i32'],
    emit(f, _context, i) {
      noException(f);
      takeInto(f, i, SLOT.a);
      setClass(f, SLOT.b, i32.const(CLASS.normal));
    },
  },
  {
    name: 'x87OperandB',
    parameters: ['i32', 'i32'],
    emit(f, _context, i) {
      noException(f);
      takeInto(f, i, SLOT.b);
    },
  },
];

/** x87NoNumber(context): 1 if A or B is no number; R is then the answer: default NaN, or that of the NaNs which counts. */
const noNumber: Helper = {
  name: 'x87NoNumber',
  parameters: ['i32'],
  result: 'i32',
  emit(f) {
    const kinds = f.let('i32', either(f));
    f.when(i32.eqz(i32.and(kinds, i32.const(NO_NUMBER))), () => f.emit(ret(i32.const(0))));
    f.when(i32.and(kinds, i32.const(CLASS.empty)), () => {
      invalid(f, STACK_UNDERFLOW);
      f.emit(ret(i32.const(1)));
    });
    f.when(i32.and(kinds, i32.const(CLASS.unsupported)), () => {
      invalid(f);
      f.emit(ret(i32.const(1)));
    });
    f.when(i32.and(kinds, i32.const(CLASS.signalling)), () => raise(f, FLAG.invalid));
    // SDM 1 table 4-7: a quiet NaN before a signalling one, else the larger significand, else the positive
    const quieted = (slot: number): Code => i64.or(significandOf(f, slot), i64.const(1n << 62n));
    const [x, y] = [f.let('i64', quieted(SLOT.a)), f.let('i64', quieted(SLOT.b))];
    const isNaN = (slot: number): Code => i32.ne(isClass(f, slot, NAN), i32.const(0));
    const larger = select(
      i64.eq(x, y),
      i32.lt_u(exponentOf(f, SLOT.a), exponentOf(f, SLOT.b)),
      i64.gt_u(x, y),
    );
    const differ = i32.ne(isClass(f, SLOT.a, NAN), isClass(f, SLOT.b, NAN));
    const both = select(differ, i32.ne(isClass(f, SLOT.a, CLASS.quiet), i32.const(0)), larger);
    const first = f.let('i32', select(isNaN(SLOT.b), i32.and(isNaN(SLOT.a), both), i32.const(1)));
    put(f, SLOT.r, select(first, x, y), select(first, exponentOf(f, SLOT.a), exponentOf(f, SLOT.b)));
    return i32.const(1);
  },
};

/** Status word with the new exceptions and C1 (or none where `keepC1`). */
function report(f: Emitter, flags: Code): void {
  const unmasked = i32.and(i32.and(flags, i32.xor(f.get('fcw'), i32.const(-1))), i32.const(0x3f));
  const summary = select(unmasked, i32.const(SUMMARY_AND_BUSY), i32.const(0));
  const up = i32.shl(i32.load(f.context, C1_AT), i32.const(9));
  f.set('fsw', i32.or(i32.or(i32.and(f.get('fsw'), i32.const(~C1)), up), i32.or(flags, summary)));
}
const blocked = (f: Emitter, by: number): Code =>
  i32.and(i32.and(flagsOf(f), i32.const(by)), i32.xor(f.get('fcw'), i32.const(-1)));
function pop(f: Emitter): void {
  tagEmpty(f, physical(f, i32.const(0)));
  moveTop(f, i32.const(1));
}

const finishers: readonly Helper[] = [
  {
    // x87Finish(context, i, pop): R goes to ST(i)
    name: 'x87Finish',
    parameters: ['i32', 'i32', 'i32'],
    emit(f, _context, i, pops) {
      f.unlikely(blocked(f, BEFORE), () => {
        setC1(f, i32.const(0));
        report(f, f.let('i32', i32.and(flagsOf(f), i32.const(BEFORE | FLAG.stack))));
        f.emit(RETURN);
      });
      report(f, flagsOf(f));
      storeRegister(f, physical(f, i), SLOT.r);
      f.when(pops, () => pop(f));
    },
  },
  {
    // x87FinishPush(context): R is pushed
    name: 'x87FinishPush',
    parameters: ['i32'],
    emit(f) {
      const number = physical(f, i32.const(7));
      // What is pushed may itself come from an empty register
      const underflow = i32.and(flagsOf(f), i32.const(FLAG.stack));
      f.when(i32.eqz(i32.or(isEmpty(f, number), underflow)), () => {
        noException(f);
        invalid(f, FLAG.invalid | FLAG.stack);
        setC1(f, i32.const(1));
      });
      report(f, flagsOf(f));
      // An unmasked denormal is pushed nevertheless
      f.when(blocked(f, FLAG.invalid), () => f.emit(RETURN));
      moveTop(f, i32.const(-1));
      storeRegister(f, number, SLOT.r);
    },
  },
  {
    // x87FinishTwo(context): slot B goes to ST(0), then R is pushed; for results that x87RoomToPush has seen
    name: 'x87FinishTwo',
    parameters: ['i32'],
    emit(f) {
      f.when(blocked(f, BEFORE), () => {
        report(f, f.let('i32', i32.and(flagsOf(f), i32.const(BEFORE | FLAG.stack))));
        f.emit(RETURN);
      });
      report(f, flagsOf(f));
      storeRegister(f, physical(f, i32.const(0)), SLOT.b);
      moveTop(f, i32.const(-1));
      storeRegister(f, physical(f, i32.const(0)), SLOT.r);
    },
  },
  {
    // x87Forbids(context): does an unmasked exception forbid to store the result in memory?
    name: 'x87Forbids',
    parameters: ['i32'],
    result: 'i32',
    emit: (f) => blocked(f, BEFORE | FLAG.overflow | FLAG.underflow),
  },
  {
    // x87FinishStore(context, pops): status and stack after a store to memory or a comparison
    name: 'x87FinishStore',
    parameters: ['i32', 'i32'],
    emit(f, _context, pops) {
      const stop = f.let('i32', blocked(f, BEFORE | FLAG.overflow | FLAG.underflow));
      report(f, flagsOf(f));
      f.when(stop, () => f.emit(RETURN));
      f.when(pops, () => pop(f));
      f.when(i32.gt_u(pops, i32.const(1)), () => pop(f));
    },
  },
];

/** Before every instruction that waits: a pending unmasked exception. */
export function waitForExceptions(e: InstructionEmitter): void {
  e.raiseIf(i32.and(e.get('fsw'), i32.const(SUMMARY)), VECTOR.floatingPoint);
}
/** After the last thing that may fault: where the instruction and its operand are. */
export function notePointers(e: InstructionEmitter, memory?: Operand): void {
  e.set('fip', e.rip());
  if (memory !== undefined) e.set('fdp', e.offset(memory));
}
export const summaryOf = (fsw: Code, fcw: Code): Code => {
  const unmasked = i32.and(i32.and(fsw, i32.xor(fcw, i32.const(-1))), i32.const(0x3f));
  const clear = i32.and(fsw, i32.const(~SUMMARY_AND_BUSY));
  return i32.or(clear, select(unmasked, i32.const(SUMMARY_AND_BUSY), i32.const(0)));
};

export const stateHelpers: readonly Helper[] = [classify, ...operands, noNumber, ...finishers];
