// x87: moves, conversions, constants, arithmetic and comparisons. What they mean is in x87-state.ts (registers, stack,
// exceptions), x87-arithmetic.ts and x87-memory.ts (helpers); here are the encodings and the order of steps.
//
// Deviation: FOP is not kept (as with the CPUs' fopcode compatibility off, but not for unmasked exceptions either).

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { CONTEXT } from '../layout.ts';
import type { Family, Form, Instruction, Operand } from './declare.ts';
import { arithmeticHelpers } from './x87-arithmetic.ts';
import { comparisons } from './x87-compare.ts';
import type { Outcome } from './x87-fast.ts';
import { fromFloat, fromInteger, negated, product, quotient, sum, toFloat, toInteger } from './x87-fast.ts';
import { KIND, REVERSED, generalHelpers } from './x87-general.ts';
import type { Look, Real } from './x87-look.ts';
import {
  anyEmpty,
  isFull,
  isSomeUnmasked,
  isUnusual,
  load,
  look,
  placeOfStack,
  push,
  setStatus,
  store,
  tagTop,
  tagValid,
} from './x87-look.ts';
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
import { call, codeOf, declare, indexOf, one, zero } from './x87-support.ts';

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

/** What was computed goes to a register, unless it was not that simple. */
function finish(e: InstructionEmitter, at: Look, empty: Code, outcome: Outcome, target: Code, pops: number, general: Code): void {
  const isUsual = i32.eqz(i32.or(empty, isUnusual(e)));
  const isNormal = i32.and(i32.ge_s(outcome.range, zero), i64.lt_s(outcome.top, i64.const(0)));
  e.unlikely(
    i32.eqz(i32.and(isUsual, isNormal)),
    () => e.emit(general),
    () => {
      store(e, target, outcome);
      tagTop(e, at, pops);
      setStatus(e, at, outcome.flags, pops);
    },
  );
} // prettier-ignore

function arithmetic({ name, compute, helper, digit, toRegister, reversed }: Operation): Instruction[] {
  const withMemory = (mnemonic: string, forms: readonly Form[], isInteger: boolean): Instruction =>
    declare(mnemonic, forms, (e, source) => {
      const at = look(e);
      const value = isInteger ? e.readSigned(source) : e.read(source);
      const other = isInteger ? fromInteger(e, value) : fromFloat(e, value, source.size);
      const target = placeOfStack(e, at, 0);
      const mine = load(e, target);
      const outcome = reversed ? compute(e, other, mine) : compute(e, mine, other);
      const kind = isInteger ? KIND.integer : source.size === 8 ? KIND.double : KIND.single;
      const general = e.call(`${helper}Memory`, e.context, value, i32.const(reversed ? kind | REVERSED : kind));
      finish(e, at, anyEmpty(at, 0), outcome, target, 0, general);
      notePointers(e, source);
    });
  const onRegisters = (e: InstructionEmitter, sti: Operand, toRegister: boolean, pops: number): void => {
    const at = look(e);
    const i = indexOf(e, sti);
    const [top, other] = [placeOfStack(e, at, 0), placeOfStack(e, at, i)];
    const isOther = toRegister !== reversed; // what is subtracted from or divided
    const [a, b] = isOther ? [load(e, other), load(e, top)] : [load(e, top), load(e, other)];
    const [first, second] = isOther ? [codeOf(i), zero] : [zero, codeOf(i)];
    const target = toRegister ? codeOf(i) : zero;
    const general = e.call(`${helper}Stack`, e.context, first, second, target, i32.const(pops));
    finish(e, at, anyEmpty(at, 0, i), compute(e, a, b), toRegister ? other : top, pops, general);
    notePointers(e);
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

interface Stored {
  readonly bits: Code; // i64
  readonly exponent?: Code; // i32: behind them, of a whole register
  readonly flags: Code; // PE and C1
  /** i32: not 0 if the general way is to be gone. */
  readonly unusual: Code;
}
/** The same where `ordinary` serves nearly always; else `general` gives the bits from slot A, the exponent in slot R. */
function storeBits(e: InstructionEmitter, at: Look, target: Operand, pops: number, ordinary: Stored, general: Code): void {
  const bits = e.variable('i64');
  const isForbidden = e.variable('i32');
  const isUnusual = e.let('i32', ordinary.unusual);
  e.expectWrite(target);
  const exponent = ordinary.exponent === undefined ? undefined : e.variable('i32');
  bits.set(ordinary.bits);
  exponent?.set(ordinary.exponent ?? zero);
  isForbidden.set(zero);
  e.unlikely(isUnusual, () => {
    call(e, 'x87Operand', zero);
    bits.set(general);
    exponent?.set(exponentOf(e, SLOT.r));
    isForbidden.set(e.call('x87Forbids', e.context));
  });
  const finishGeneral = e.call('x87FinishStore', e.context, i32.const(pops));
  e.unlikely(
    isForbidden.get,
    () => e.emit(finishGeneral),
    () => {
      const host = e.hostForWrite(target);
      if (target.size === 2) e.emit(i64.store16(host, bits.get));
      else if (target.size === 4) e.emit(i64.store32(host, bits.get));
      else e.emit(i64.store(host, bits.get));
      if (exponent !== undefined) e.emit(i32.store16(host, exponent.get, 8));
      e.done(target);
      e.unlikely(
        isUnusual,
        () => e.emit(finishGeneral),
        () => {
          tagTop(e, at, pops);
          setStatus(e, at, ordinary.flags, pops);
        },
      );
    },
  );
  notePointers(e, target);
} // prettier-ignore

function storeFloat(mnemonic: string, forms: readonly Form[], pops: number): Instruction {
  return declare(mnemonic, forms, (e, target) => {
    const at = look(e);
    const real = load(e, placeOfStack(e, at, 0));
    const { bits, flags, range } = toFloat(e, real, target.size);
    const isNormal = i32.and(i32.ge_s(range, zero), i64.lt_s(real.significand, i64.const(0)));
    const unusual = i32.or(i32.or(anyEmpty(at, 0), isUnusual(e)), i32.eqz(isNormal));
    const general = e.call(target.size === 4 ? 'x87ToSingle' : 'x87ToDouble', e.context);
    storeBits(e, at, target, pops, { bits, flags, unusual }, general);
  });
}
function storeAsInteger(mnemonic: string, forms: readonly Form[], pops: number, truncate: number): Instruction {
  return declare(mnemonic, forms, (e, target) => {
    const at = look(e);
    const real = load(e, placeOfStack(e, at, 0));
    const control = i32.and(i32.shr_u(e.get('fcw'), i32.const(10)), i32.const(3));
    const mode = e.let('i32', truncate === 0 ? control : i32.const(3));
    const { value, flags, range } = toInteger(e, real, target.size, mode);
    const isNormal = i32.and(i32.ge_s(range, zero), i64.lt_s(real.significand, i64.const(0)));
    const unusual = i32.or(i32.or(anyEmpty(at, 0), isSomeUnmasked(e)), i32.eqz(isNormal));
    const general = e.call('x87ToInteger', e.context, i32.const(target.size * 8), i32.const(truncate));
    storeBits(e, at, target, pops, { bits: value, flags, unusual }, general);
  });
} // prettier-ignore
/** FST ST(i): the register as it is; only an empty one is an exception. */
function storeRegister(mnemonic: string, forms: readonly Form[], pops: number): Instruction {
  return declare(mnemonic, forms, (e, sti) => {
    const at = look(e);
    const i = indexOf(e, sti);
    e.unlikely(
      anyEmpty(at, 0),
      () => call(e, 'x87Underflow', codeOf(i), i32.const(pops)),
      () => {
        if (i !== 0) {
          store(e, placeOfStack(e, at, i), load(e, placeOfStack(e, at, 0)));
          tagValid(e, at, i);
        }
        tagTop(e, at, pops);
        setStatus(e, at, 0, pops);
      },
    );
    notePointers(e);
  });
}

/** What is pushed comes without an exception of its own. */
function pushReal(e: InstructionEmitter, value: Real, at: Look): void {
  e.unlikely(
    isFull(at),
    () => call(e, 'x87LoadReal', value.significand, value.exponent),
    () => push(e, at, value),
  );
}

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
    const at = look(e);
    const mode = e.let('i32', i32.and(i32.shr_u(e.get('fcw'), i32.const(10)), i32.const(3)));
    let value = i64.const(significand);
    if (down !== 0) value = i64.sub(value, i64.extend_i32_u(i32.and(mode, one)));
    if (up !== 0) value = i64.add(value, i64.extend_i32_u(i32.eq(mode, i32.const(2))));
    pushReal(e, { significand: e.let('i64', value), exponent: i32.const(exponent) }, at);
    notePointers(e);
  }),
);

/** ST(0) with another sign. */
function signed(mnemonic: string, form: string, change: (exponent: Code) => Code): Instruction {
  return declare(mnemonic, [[form, '']], (e) => {
    const at = look(e);
    e.unlikely(
      anyEmpty(at, 0),
      () => call(e, 'x87Underflow', zero, zero),
      () => {
        const place = placeOfStack(e, at, 0);
        const exponent = i32.load16_u(place, CONTEXT.x87 + 8);
        e.emit(i32.store16(place, change(exponent), CONTEXT.x87 + 8));
        setStatus(e, at, 0, 0);
      },
    );
    notePointers(e);
  });
}
function conditional(mnemonic: string, form: string, condition: number): Instruction {
  return declare(mnemonic, [[form, 'ST0,STi']], (e, _st0, sti) => {
    const at = look(e);
    const i = indexOf(e, sti);
    const wanted = e.let('i32', e.condition(condition));
    e.unlikely(
      anyEmpty(at, 0, i),
      () => call(e, 'x87Move', codeOf(i), wanted),
      () => e.when(wanted, () => store(e, placeOfStack(e, at, 0), load(e, placeOfStack(e, at, i)))),
    );
    notePointers(e);
  });
}

const moves: readonly Instruction[] = [
  declare('fld', [['D9 /0', 'Md'], ['DD /0', 'Mq']], (e, source) => {
    const at = look(e);
    const value = e.read(source);
    const real = fromFloat(e, value, source.size);
    const kind = i32.const(source.size === 8 ? KIND.double : KIND.single);
    e.unlikely(
      i32.or(isFull(at), i64.ge_s(real.significand, i64.const(0))),
      () => call(e, 'x87LoadMemory', value, kind),
      () => push(e, at, real),
    );
    notePointers(e, source);
  }),
  declare('fld', [['DB /5', 'Mt']], (e, source) => {
    const at = look(e);
    const host = e.hostForRead(source);
    const significand = e.let('i64', i64.load(host));
    pushReal(e, { significand, exponent: e.let('i32', i32.load16_u(host, 8)) }, at);
    notePointers(e, source);
  }),
  declare('fld', [['D9 C0+i', 'STi']], (e, sti) => {
    const at = look(e);
    const i = indexOf(e, sti);
    e.unlikely(
      i32.or(isFull(at), anyEmpty(at, i)),
      () => call(e, 'x87LoadStack', codeOf(i)),
      () => push(e, at, load(e, placeOfStack(e, at, i))),
    );
    notePointers(e);
  }),
  declare('fild', [['DF /0', 'Mw'], ['DB /0', 'Md'], ['DF /5', 'Mq']], (e, source) => {
    const at = look(e);
    pushReal(e, fromInteger(e, e.readSigned(source)), at);
    notePointers(e, source);
  }),
  declare('fbld', [['DF /4', 'Mt']], (e, source) => {
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
    const at = look(e);
    const { significand, exponent } = load(e, placeOfStack(e, at, 0));
    const ordinary = { bits: significand, exponent, flags: zero, unusual: anyEmpty(at, 0) };
    storeBits(e, at, target, 1, ordinary, e.call('x87ToRegister', e.context));
  }),
  storeRegister('fst', [['DD D0+i', 'STi']], 0),
  storeRegister('fstp', [['DD D8+i', 'STi'], ['DF D0+i', 'STi'], ['DF D8+i', 'STi']], 1),
  storeAsInteger('fist', [['DF /2', 'Mw'], ['DB /2', 'Md']], 0, 0),
  storeAsInteger('fistp', [['DF /3', 'Mw'], ['DB /3', 'Md'], ['DF /7', 'Mq']], 1, 0),
  storeAsInteger('fisttp', [['DF /1', 'Mw'], ['DB /1', 'Md'], ['DD /1', 'Mq']], 1, 1),
  declare('fbstp', [['DF /6', 'Mt']], (e, target) => {
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    const digits = e.let('i64', e.call('x87ToDecimal', e.context));
    storeResult(e, target, 1, (host) => {
      e.emit(i64.store(host, digits));
      e.emit(i32.store16(host, i32.load16_u(e.context, WORK + 8), 8));
    });
  }),
  declare('fxch', [['D9 C8+i', 'STi'], ['DD C8+i', 'STi'], ['DF C8+i', 'STi']], (e, sti) => {
    const at = look(e);
    const i = indexOf(e, sti);
    e.unlikely(
      anyEmpty(at, 0, i),
      () => call(e, 'x87Exchange', codeOf(i)),
      () => {
        const [top, other] = [placeOfStack(e, at, 0), placeOfStack(e, at, i)];
        const [mine, its] = [load(e, top), load(e, other)];
        store(e, top, its);
        store(e, other, mine);
        setStatus(e, at, 0, 0);
      },
    );
    notePointers(e);
  }),
  signed('fchs', 'D9 E0', (exponent) => i32.xor(exponent, i32.const(0x8000))),
  signed('fabs', 'D9 E1', (exponent) => i32.and(exponent, i32.const(0x7fff))),
  conditional('fcmovb', 'DA C0+i', 2), conditional('fcmove', 'DA C8+i', 4), conditional('fcmovbe', 'DA D0+i', 6), conditional('fcmovu', 'DA D8+i', 10),
  conditional('fcmovnb', 'DB C0+i', 3), conditional('fcmovne', 'DB C8+i', 5), conditional('fcmovnbe', 'DB D0+i', 7), conditional('fcmovnu', 'DB D8+i', 11),
  declare('ffree', [['DD C0+i', 'STi']], (e, sti) => {
    waitForExceptions(e);
    tagEmpty(e, physical(e, e.stIndex(sti)));
    e.set('fsw', i32.and(e.get('fsw'), i32.const(~C1)));
    notePointers(e);
  }),
  declare('ffreep', [['DF C0+i', 'STi']], (e, sti) => {
    waitForExceptions(e);
    tagEmpty(e, physical(e, e.stIndex(sti)));
    tagEmpty(e, physical(e, zero));
    moveTop(e, one);
    e.set('fsw', i32.and(e.get('fsw'), i32.const(~C1)));
    notePointers(e);
  }),
  ...([['fincstp', 'F7', 1], ['fdecstp', 'F6', -1]] as const).map(([mnemonic, byte, by]) =>
    declare(mnemonic, [[`D9 ${byte}`, '']], (e) => {
      waitForExceptions(e);
      moveTop(e, i32.const(by));
      e.set('fsw', i32.and(e.get('fsw'), i32.const(~C1)));
      notePointers(e);
    }),
  ),
  declare('fnop', [['D9 D0', '']], (e) => {
    waitForExceptions(e);
    notePointers(e);
  }),
]; // prettier-ignore

/** One operand, one result, in ST(0). */
const single = (mnemonic: string, form: string, helper: string): Instruction =>
  declare(mnemonic, [[form, '']], (e) => {
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
