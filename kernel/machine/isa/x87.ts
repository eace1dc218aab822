// x87: moves, conversions, constants, arithmetic and comparisons. What they mean is in x87-state.ts (registers, stack,
// exceptions), x87-arithmetic.ts and x87-memory.ts (helpers); here are the encodings and the order of steps.
//
// Deviation: FOP is not kept (as with the CPUs' fopcode compatibility off, but not for unmasked exceptions either).

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import type { Family, Form, Instruction, Operand } from './declare.ts';
import { arithmeticHelpers } from './x87-arithmetic.ts';
import { comparisons } from './x87-compare.ts';
import type { Outcome } from './x87-fast.ts';
import { fromFloat, fromInteger, negated, product, quotient, sum, toFloat, toInteger } from './x87-fast.ts';
import { KIND, REVERSED, generalHelpers } from './x87-general.ts';
import type { Real, Rounding, Stack } from './x87-stack.ts';
import {
  anyOf,
  begin,
  changeReal,
  clearC1,
  finish,
  pop,
  push,
  realOf,
  roundingMode,
  setReal,
  setRounding,
  spill,
  unlessMasked,
  unlessRoom,
  unlessUsual,
  unlessValid,
} from './x87-stack.ts';
import { memoryHelpers } from './x87-memory.ts';
import {
  C1,
  SLOT,
  WORK,
  copySlot,
  exponentOf,
  moveTop,
  noException,
  notePointers,
  physical,
  tagEmpty,
  waitForExceptions,
  stateHelpers,
} from './x87-state.ts';
import { call, codeOf, declare, declareGeneral, indexOf, one, zero } from './x87-support.ts';

// Arithmetic: A is what is subtracted from or divided, B the other

interface Operation {
  readonly name: string;
  readonly compute: (e: InstructionEmitter, a: Real, b: Real) => Outcome;
  readonly helper: string; // of x87-general.ts, without its ending
  readonly digit: number; // of the memory forms and of D8
  readonly toRegister: number; // second byte of DC and DE forms
  readonly reversed: boolean;
}
const difference: Operation['compute'] = (e, a, b) => sum(e, a, negated(e, b));
const OPERATIONS: readonly Operation[] = [
  { name: 'add', compute: sum, helper: 'x87Add', digit: 0, toRegister: 0xc0, reversed: false },
  { name: 'mul', compute: product, helper: 'x87Mul', digit: 1, toRegister: 0xc8, reversed: false },
  { name: 'sub', compute: difference, helper: 'x87Sub', digit: 4, toRegister: 0xe8, reversed: false },
  { name: 'subr', compute: difference, helper: 'x87Sub', digit: 5, toRegister: 0xe0, reversed: true },
  { name: 'div', compute: quotient, helper: 'x87Div', digit: 6, toRegister: 0xf8, reversed: false },
  { name: 'divr', compute: quotient, helper: 'x87Div', digit: 7, toRegister: 0xf0, reversed: true },
];
const hex = (byte: number): string => byte.toString(16).toUpperCase();

/** i32: not 0 unless the computation was that simple. */
const unlessNormal = ({ range, top }: Pick<Outcome, 'range' | 'top'>): Code =>
  i32.or(i32.lt_s(range, zero), i64.ge_s(top, i64.const(0)));

function arithmetic({ name, compute, helper, digit, toRegister, reversed }: Operation): Instruction[] {
  const withMemory = (mnemonic: string, forms: readonly Form[], isInteger: boolean): Instruction =>
    declare(mnemonic, forms, (e, source) => {
      const stack = begin(e);
      const value = isInteger ? e.readSigned(source) : e.read(source);
      const other = isInteger ? fromInteger(e, value) : fromFloat(e, value, source.size);
      const mine = realOf(e, stack, 0);
      const outcome = reversed ? compute(e, other, mine) : compute(e, mine, other);
      const unless = anyOf(unlessValid(e, stack, 0), unlessUsual(stack), unlessNormal(outcome));
      const after = { ...stack };
      changeReal(e, after, 0, outcome);
      setRounding(e, after, outcome);
      const kind = isInteger ? KIND.integer : source.size === 8 ? KIND.double : KIND.single;
      const general = (): void => call(e, `${helper}Memory`, value, i32.const(reversed ? kind | REVERSED : kind));
      finish(e, stack, after, { unless, general, memory: source });
    });
  const onRegisters = (e: InstructionEmitter, sti: Operand, toRegister: boolean, pops: number): void => {
    const stack = begin(e);
    const i = indexOf(e, sti);
    const [top, other] = [realOf(e, stack, 0), realOf(e, stack, i)];
    const isOther = toRegister !== reversed; // what is subtracted from or divided
    const outcome = isOther ? compute(e, other, top) : compute(e, top, other);
    const empty = anyOf(unlessValid(e, stack, 0), unlessValid(e, stack, i));
    const unless = anyOf(empty, unlessUsual(stack), unlessNormal(outcome));
    const after = { ...stack };
    changeReal(e, after, toRegister ? i : 0, outcome);
    setRounding(e, after, outcome);
    pop(e, after, pops);
    const [a, b] = isOther ? [codeOf(i), zero] : [zero, codeOf(i)];
    const target = toRegister ? codeOf(i) : zero;
    const general = (): void => call(e, `${helper}Stack`, a, b, target, i32.const(pops));
    finish(e, stack, after, { unless, general });
  };
  return [
    withMemory(`f${name}`, [[`D8 /${digit}`, 'Md'], [`DC /${digit}`, 'Mq']], false),
    withMemory(`fi${name}`, [[`DA /${digit}`, 'Md'], [`DE /${digit}`, 'Mw']], true),
    declare(`f${name}`, [[`D8 ${hex(0xc0 + digit * 8)}+i`, 'ST0,STi']], (e, _st0, sti) => onRegisters(e, sti, false, 0)),
    declare(`f${name}`, [[`DC ${hex(toRegister)}+i`, 'STi,ST0']], (e, sti) => onRegisters(e, sti, true, 0)),
    declare(`f${name}p`, [[`DE ${hex(toRegister)}+i`, 'STi,ST0']], (e, sti) => onRegisters(e, sti, true, 1)),
  ];
} // prettier-ignore

// Moves

/** Stores what was computed, unless an unmasked exception forbids it: then memory is not touched at all. */
function storeResult(
  e: InstructionEmitter,
  target: Operand,
  pops: number,
  store: (host: Code) => void,
): void {
  const finish = e.call('x87FinishStore', e.context, i32.const(pops));
  e.when(
    e.call('x87Forbids', e.context),
    () => e.emit(finish),
    () => {
      const host = e.hostForWrite(target);
      e.emit(finish);
      store(host);
      e.done(target);
    },
  );
  notePointers(e, target);
}

interface Stored extends Rounding {
  readonly bits: Code; // i64
  readonly exponent?: Code; // i32: behind them, of a whole register
}
/** The same where `ordinary` serves nearly always; else `general` gives the bits from slot A, the exponent in slot R. */
function storeBits(e: InstructionEmitter, stack: Stack, target: Operand, pops: number, ordinary: Stored, maybe: Code | undefined, general: () => Code): void {
  const bits = e.variable('i64');
  const isForbidden = e.variable('i32');
  const unless = maybe === undefined ? undefined : e.let('i32', maybe);
  e.expectWrite(target);
  const exponent = ordinary.exponent === undefined ? undefined : e.variable('i32');
  bits.set(ordinary.bits);
  exponent?.set(ordinary.exponent ?? zero);
  const finishGeneral = (): void => call(e, 'x87FinishStore', i32.const(pops));
  const toMemory = (): void => {
    const host = e.hostForWrite(target);
    if (target.size === 2) e.emit(i64.store16(host, bits.get));
    else if (target.size === 4) e.emit(i64.store32(host, bits.get));
    else e.emit(i64.store(host, bits.get));
    if (exponent !== undefined) e.emit(i32.store16(host, exponent.get, 8));
    e.done(target);
    const after = { ...stack };
    setRounding(e, after, ordinary);
    pop(e, after, pops);
    finish(e, stack, after, { unless, general: finishGeneral, memory: target });
  };
  if (unless === undefined) return toMemory();
  isForbidden.set(zero);
  e.unlikely(unless, () => {
    spill(e, stack.known);
    call(e, 'x87Operand', zero);
    bits.set(general());
    exponent?.set(exponentOf(e, SLOT.r));
    isForbidden.set(e.call('x87Forbids', e.context));
  });
  e.unlikely(
    isForbidden.get,
    () => {
      if (e.x87 !== undefined) e.x87.known = undefined;
      finishGeneral();
      notePointers(e, target);
      e.leaveIf(one);
    },
    toMemory,
  );
} // prettier-ignore

function storeFloat(mnemonic: string, forms: readonly Form[], pops: number): Instruction {
  return declare(mnemonic, forms, (e, target) => {
    const stack = begin(e);
    const real = realOf(e, stack, 0);
    const ordinary = toFloat(e, real, target.size);
    const isNormal = unlessNormal({ range: ordinary.range, top: real.significand });
    const unless = anyOf(unlessValid(e, stack, 0), unlessUsual(stack), isNormal);
    const general = (): Code => e.call(target.size === 4 ? 'x87ToSingle' : 'x87ToDouble', e.context);
    storeBits(e, stack, target, pops, ordinary, unless, general);
  });
}
function storeAsInteger(mnemonic: string, forms: readonly Form[], pops: number, truncate: number): Instruction {
  return declare(mnemonic, forms, (e, target) => {
    const stack = begin(e);
    const real = realOf(e, stack, 0);
    const mode = e.let('i32', truncate === 0 ? roundingMode(stack) : i32.const(3));
    const ordinary = toInteger(e, real, target.size, mode);
    const isNormal = unlessNormal({ range: ordinary.range, top: real.significand });
    const unless = anyOf(unlessValid(e, stack, 0), unlessMasked(stack), isNormal);
    const general = (): Code =>
      e.call('x87ToInteger', e.context, i32.const(target.size * 8), i32.const(truncate));
    storeBits(e, stack, target, pops, ordinary, unless, general);
  });
} // prettier-ignore
/** FST ST(i): the register as it is; only an empty one is an exception. */
function storeRegister(mnemonic: string, forms: readonly Form[], pops: number): Instruction {
  return declare(mnemonic, forms, (e, sti) => {
    const stack = begin(e);
    const i = indexOf(e, sti);
    const real = realOf(e, stack, 0);
    const unless = unlessValid(e, stack, 0);
    const after = { ...stack };
    if (i !== 0) setReal(e, after, i, real);
    clearC1(after);
    pop(e, after, pops);
    finish(e, stack, after, { unless, general: () => call(e, 'x87Underflow', codeOf(i), i32.const(pops)) });
  });
}

/** A value that comes without an exception of its own, or such that `unless` and `general` see to it. */
function pushReal(e: InstructionEmitter, stack: Stack, value: Real, memory?: Operand, unless?: Code, general?: () => void): void {
  const full = unlessRoom(e, stack);
  const after = { ...stack };
  push(e, after, value);
  clearC1(after);
  finish(e, stack, after, {
    unless: anyOf(full, unless),
    general: general ?? (() => call(e, 'x87LoadReal', value.significand, value.exponent)),
    ...(memory === undefined ? {} : { memory }),
  });
} // prettier-ignore

/** Extended constants by rounding: significand to nearest, exponent, what is added when rounding down or to zero, when up. */
const CONSTANTS: readonly (readonly [string, string, bigint, number, number, number])[] = [
  ['fld1', 'E8', 0x8000_0000_0000_0000n, 0x3fff, 0, 0],
  ['fldl2t', 'E9', 0xd49a_784b_cd1b_8afen, 0x4000, 0, 1],
  ['fldl2e', 'EA', 0xb8aa_3b29_5c17_f0bcn, 0x3fff, -1, 0],
  ['fldpi', 'EB', 0xc90f_daa2_2168_c235n, 0x4000, -1, 0],
  ['fldlg2', 'EC', 0x9a20_9a84_fbcf_f799n, 0x3ffd, -1, 0],
  ['fldln2', 'ED', 0xb172_17f7_d1cf_79acn, 0x3ffe, -1, 0],
  ['fldz', 'EE', 0n, 0, 0, 0],
];
const constants = CONSTANTS.map(([mnemonic, byte, significand, exponent, down, up]) =>
  declare(mnemonic, [[`D9 ${byte}`, '']], (e) => {
    const stack = begin(e);
    const mode = e.let('i32', roundingMode(stack));
    let value = i64.const(significand);
    if (down !== 0) value = i64.sub(value, i64.extend_i32_u(i32.and(mode, one)));
    if (up !== 0) value = i64.add(value, i64.extend_i32_u(i32.eq(mode, i32.const(2))));
    pushReal(e, stack, { significand: e.let('i64', value), exponent: i32.const(exponent) });
  }),
);

/** ST(0) with another sign. */
function signed(mnemonic: string, form: string, change: (exponent: Code) => Code): Instruction {
  return declare(mnemonic, [[form, '']], (e) => {
    const stack = begin(e);
    const { significand, exponent } = realOf(e, stack, 0);
    const unless = unlessValid(e, stack, 0);
    const after = { ...stack };
    changeReal(e, after, 0, { significand, exponent: e.let('i32', change(exponent)) });
    clearC1(after);
    finish(e, stack, after, { unless, general: () => call(e, 'x87Underflow', zero, zero) });
  });
}
function conditional(mnemonic: string, form: string, condition: number): Instruction {
  return declare(mnemonic, [[form, 'ST0,STi']], (e, _st0, sti) => {
    const stack = begin(e);
    const i = indexOf(e, sti);
    const wanted = e.let('i32', e.condition(condition));
    const [top, other] = [realOf(e, stack, 0), realOf(e, stack, i)];
    const unless = anyOf(unlessValid(e, stack, 0), unlessValid(e, stack, i));
    const after = { ...stack };
    changeReal(e, after, 0, {
      significand: e.let('i64', select(wanted, other.significand, top.significand)),
      exponent: e.let('i32', select(wanted, other.exponent, top.exponent)),
    });
    finish(e, stack, after, { unless, general: () => call(e, 'x87Move', codeOf(i), wanted) });
  });
}

const moves: readonly Instruction[] = [
  declare('fld', [['D9 /0', 'Md'], ['DD /0', 'Mq']], (e, source) => {
    const stack = begin(e);
    const value = e.read(source);
    const real = fromFloat(e, value, source.size);
    const kind = i32.const(source.size === 8 ? KIND.double : KIND.single);
    const isOdd = i64.ge_s(real.significand, i64.const(0));
    pushReal(e, stack, real, source, isOdd, () => call(e, 'x87LoadMemory', value, kind));
  }),
  declare('fld', [['DB /5', 'Mt']], (e, source) => {
    const stack = begin(e);
    const host = e.hostForRead(source);
    const significand = e.let('i64', i64.load(host));
    const exponent = e.let('i32', i32.load16_u(host, 8));
    pushReal(e, stack, { significand, exponent }, source);
  }),
  declare('fld', [['D9 C0+i', 'STi']], (e, sti) => {
    const stack = begin(e);
    const i = indexOf(e, sti);
    const real = realOf(e, stack, i);
    const unless = unlessValid(e, stack, i);
    pushReal(e, stack, real, undefined, unless, () => call(e, 'x87LoadStack', codeOf(i)));
  }),
  declare('fild', [['DF /0', 'Mw'], ['DB /0', 'Md'], ['DF /5', 'Mq']], (e, source) => {
    const stack = begin(e);
    pushReal(e, stack, fromInteger(e, e.readSigned(source)), source);
  }),
  declareGeneral('fbld', [['DF /4', 'Mt']], (e, source) => {
    waitForExceptions(e);
    const host = e.hostForRead(source);
    noException(e);
    call(e, 'x87FromDecimal', host);
    copySlot(e, SLOT.r, SLOT.a);
    call(e, 'x87FinishPush');
    notePointers(e, source);
  }),
  storeFloat('fst', [['D9 /2', 'Md'], ['DD /2', 'Mq']], 0),
  storeFloat('fstp', [['D9 /3', 'Md'], ['DD /3', 'Mq']], 1),
  declare('fstp', [['DB /7', 'Mt']], (e, target) => {
    const stack = begin(e);
    const { significand, exponent } = realOf(e, stack, 0);
    const ordinary = { bits: significand, exponent, inexact: zero, up: zero };
    const general = (): Code => e.call('x87ToRegister', e.context);
    storeBits(e, stack, target, 1, ordinary, unlessValid(e, stack, 0), general);
  }),
  storeRegister('fst', [['DD D0+i', 'STi']], 0),
  storeRegister('fstp', [['DD D8+i', 'STi'], ['DF D0+i', 'STi'], ['DF D8+i', 'STi']], 1),
  storeAsInteger('fist', [['DF /2', 'Mw'], ['DB /2', 'Md']], 0, 0),
  storeAsInteger('fistp', [['DF /3', 'Mw'], ['DB /3', 'Md'], ['DF /7', 'Mq']], 1, 0),
  storeAsInteger('fisttp', [['DF /1', 'Mw'], ['DB /1', 'Md'], ['DD /1', 'Mq']], 1, 1),
  declareGeneral('fbstp', [['DF /6', 'Mt']], (e, target) => {
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    const digits = e.let('i64', e.call('x87ToDecimal', e.context));
    storeResult(e, target, 1, (host) => {
      e.emit(i64.store(host, digits));
      e.emit(i32.store16(host, i32.load16_u(e.context, WORK + 8), 8));
    });
  }),
  declare('fxch', [['D9 C8+i', 'STi'], ['DD C8+i', 'STi'], ['DF C8+i', 'STi']], (e, sti) => {
    const stack = begin(e);
    const i = indexOf(e, sti);
    const [mine, its] = [realOf(e, stack, 0), realOf(e, stack, i)];
    const unless = anyOf(unlessValid(e, stack, 0), unlessValid(e, stack, i));
    const after = { ...stack };
    changeReal(e, after, 0, its);
    changeReal(e, after, i, mine);
    clearC1(after);
    finish(e, stack, after, { unless, general: () => call(e, 'x87Exchange', codeOf(i)) });
  }),
  signed('fchs', 'D9 E0', (exponent) => i32.xor(exponent, i32.const(0x8000))),
  signed('fabs', 'D9 E1', (exponent) => i32.and(exponent, i32.const(0x7fff))),
  conditional('fcmovb', 'DA C0+i', 2), conditional('fcmove', 'DA C8+i', 4), conditional('fcmovbe', 'DA D0+i', 6), conditional('fcmovu', 'DA D8+i', 10),
  conditional('fcmovnb', 'DB C0+i', 3), conditional('fcmovne', 'DB C8+i', 5), conditional('fcmovnbe', 'DB D0+i', 7), conditional('fcmovnu', 'DB D8+i', 11),
  declareGeneral('ffree', [['DD C0+i', 'STi']], (e, sti) => {
    waitForExceptions(e);
    tagEmpty(e, physical(e, e.stIndex(sti)));
    e.set('fsw', i32.and(e.get('fsw'), i32.const(~C1)));
    notePointers(e);
  }),
  declareGeneral('ffreep', [['DF C0+i', 'STi']], (e, sti) => {
    waitForExceptions(e);
    tagEmpty(e, physical(e, e.stIndex(sti)));
    tagEmpty(e, physical(e, zero));
    moveTop(e, one);
    e.set('fsw', i32.and(e.get('fsw'), i32.const(~C1)));
    notePointers(e);
  }),
  ...([['fincstp', 'F7', 1], ['fdecstp', 'F6', -1]] as const).map(([mnemonic, byte, by]) =>
    declareGeneral(mnemonic, [[`D9 ${byte}`, '']], (e) => {
      waitForExceptions(e);
      moveTop(e, i32.const(by));
      e.set('fsw', i32.and(e.get('fsw'), i32.const(~C1)));
      notePointers(e);
    }),
  ),
  declareGeneral('fnop', [['D9 D0', '']], (e) => {
    waitForExceptions(e);
    notePointers(e);
  }),
]; // prettier-ignore

/** One operand, one result, in ST(0). */
const single = (mnemonic: string, form: string, helper: string): Instruction =>
  declareGeneral(mnemonic, [[form, '']], (e) => {
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    call(e, helper);
    call(e, 'x87Finish', zero, zero);
    notePointers(e);
  });

export const x87: Family = {
  instructions: [
    ...OPERATIONS.flatMap(arithmetic),
    ...comparisons,
    ...moves,
    ...constants,
    single('fsqrt', 'D9 FA', 'x87Sqrt'),
    single('frndint', 'D9 FC', 'x87RoundInteger'),
  ],
  helpers: [...stateHelpers, ...arithmeticHelpers, ...memoryHelpers, ...generalHelpers],
};
