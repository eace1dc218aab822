// x87: moves, conversions, constants, arithmetic and comparisons. What they mean is in x87-state.ts (registers, stack,
// exceptions), x87-arithmetic.ts and x87-memory.ts (helpers); here are the encodings and the order of steps.
//
// Deviation: FOP is not kept (as with the CPUs' fopcode compatibility off, but not for unmasked exceptions either).

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import type { Family, Form, Instruction, Operand } from './declare.ts';
import { arithmeticHelpers } from './x87-arithmetic.ts';
import { comparisons, keepC1 } from './x87-compare.ts';
import { memoryHelpers } from './x87-memory.ts';
import {
  C1,
  CLASS,
  FLAG,
  SLOT,
  WORK,
  copySlot,
  exponentOf,
  invalid,
  isClass,
  moveTop,
  noException,
  notePointers,
  physical,
  put,
  raise,
  significandOf,
  tagEmpty,
  waitForExceptions,
  stateHelpers,
} from './x87-state.ts';
import type { Format } from './x87-support.ts';
import { call, declare, floatOf, fromMemory, one, zero } from './x87-support.ts';

// Arithmetic: A is what is subtracted from or divided, B the other

interface Operation {
  readonly name: string;
  readonly helper: string;
  readonly digit: number; // of the memory forms and of D8
  readonly toRegister: number; // second byte of DC and DE forms
  readonly reversed: boolean;
}
const OPERATIONS: readonly Operation[] = [
  { name: 'add', helper: 'x87Add', digit: 0, toRegister: 0xc0, reversed: false },
  { name: 'mul', helper: 'x87Mul', digit: 1, toRegister: 0xc8, reversed: false },
  { name: 'sub', helper: 'x87Sub', digit: 4, toRegister: 0xe8, reversed: false },
  { name: 'subr', helper: 'x87Sub', digit: 5, toRegister: 0xe0, reversed: true },
  { name: 'div', helper: 'x87Div', digit: 6, toRegister: 0xf8, reversed: false },
  { name: 'divr', helper: 'x87Div', digit: 7, toRegister: 0xf0, reversed: true },
];
const hex = (byte: number): string => byte.toString(16).toUpperCase();

function arithmetic({ name, helper, digit, toRegister, reversed }: Operation): Instruction[] {
  const withMemory = (mnemonic: string, forms: readonly Form[], formatOf: (size: number) => Format): Instruction =>
    declare(mnemonic, forms, (e, source) => {
      waitForExceptions(e);
      const format = formatOf(source.size);
      e.hostForRead(source); // before anything changes
      call(e, reversed ? 'x87OperandB' : 'x87Operand', zero);
      fromMemory(e, format, source, reversed ? SLOT.a : SLOT.b);
      call(e, helper);
      call(e, 'x87Finish', zero, zero);
      notePointers(e, source);
    });
  const onRegisters = (e: InstructionEmitter, target: Code, source: Code, pops: Code): void => {
    waitForExceptions(e);
    if (reversed) call(e, 'x87Operands', source, target);
    else call(e, 'x87Operands', target, source);
    call(e, helper);
    call(e, 'x87Finish', target, pops);
    notePointers(e);
  };
  return [
    withMemory(`f${name}`, [[`D8 /${digit}`, 'Md'], [`DC /${digit}`, 'Mq']], (size) => (size === 4 ? 'single' : 'double')),
    withMemory(`fi${name}`, [[`DA /${digit}`, 'Md'], [`DE /${digit}`, 'Mw']], () => 'integer'),
    declare(`f${name}`, [[`D8 ${hex(0xc0 + digit * 8)}+i`, 'ST0,STi']], (e, _st0, sti) => onRegisters(e, zero, e.stIndex(sti), zero)),
    declare(`f${name}`, [[`DC ${hex(toRegister)}+i`, 'STi,ST0']], (e, sti) => onRegisters(e, e.stIndex(sti), zero, zero)),
    declare(`f${name}p`, [[`DE ${hex(toRegister)}+i`, 'STi,ST0']], (e, sti) => onRegisters(e, e.stIndex(sti), zero, one)),
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
function storeInteger(e: InstructionEmitter, target: Operand, value: Code, pops: number): void {
  const result = e.let('i64', value);
  storeResult(e, target, pops, (host) => {
    if (target.size === 2) e.emit(i64.store16(host, result));
    else if (target.size === 4) e.emit(i64.store32(host, result));
    else e.emit(i64.store(host, result));
  });
}
function storeFloat(mnemonic: string, forms: readonly Form[], pops: number): Instruction {
  return declare(mnemonic, forms, (e, target) => {
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    storeInteger(e, target, e.call(target.size === 4 ? 'x87ToSingle' : 'x87ToDouble', e.context), pops);
  });
}
function storeAsInteger(mnemonic: string, forms: readonly Form[], pops: number, truncate: number): Instruction {
  return declare(mnemonic, forms, (e, target) => {
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    const bits = i32.const(target.size * 8);
    storeInteger(e, target, e.call('x87ToInteger', e.context, bits, i32.const(truncate)), pops);
  });
} // prettier-ignore
/** FST ST(i): the register as it is; only an empty one is an exception. */
function storeRegister(mnemonic: string, forms: readonly Form[], pops: number): Instruction {
  return declare(mnemonic, forms, (e, sti) => {
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    copySlot(e, SLOT.r, SLOT.a);
    e.when(isClass(e, SLOT.a, CLASS.empty), () => invalid(e, FLAG.invalid | FLAG.stack));
    call(e, 'x87Finish', e.stIndex(sti), i32.const(pops));
    notePointers(e);
  });
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
    waitForExceptions(e);
    noException(e);
    const value = e.variable('i64');
    value.set(i64.const(significand));
    const mode = i32.and(i32.shr_u(e.get('fcw'), i32.const(10)), i32.const(3));
    if (down !== 0) value.set(i64.sub(value.get, i64.extend_i32_u(i32.and(mode, one))));
    if (up !== 0) value.set(i64.add(value.get, i64.extend_i32_u(i32.eq(mode, i32.const(2)))));
    put(e, SLOT.r, value.get, i32.const(exponent));
    call(e, 'x87FinishPush');
    notePointers(e);
  }),
);

/** ST(0) with another sign. */
function signed(mnemonic: string, form: string, change: (exponent: Code) => Code): Instruction {
  return declare(mnemonic, [[form, '']], (e) => {
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    put(e, SLOT.r, significandOf(e, SLOT.a), change(exponentOf(e, SLOT.a)));
    e.when(isClass(e, SLOT.a, CLASS.empty), () => invalid(e, FLAG.invalid | FLAG.stack));
    call(e, 'x87Finish', zero, zero);
    notePointers(e);
  });
}
function conditional(mnemonic: string, form: string, condition: number): Instruction {
  return declare(mnemonic, [[form, 'ST0,STi']], (e, _st0, sti) => {
    waitForExceptions(e);
    call(e, 'x87Operands', zero, e.stIndex(sti));
    const wanted = e.condition(condition);
    copySlot(e, SLOT.r, SLOT.a);
    e.when(wanted, () => copySlot(e, SLOT.r, SLOT.b));
    const any = i32.or(isClass(e, SLOT.a, CLASS.empty), isClass(e, SLOT.b, CLASS.empty));
    e.when(any, () => invalid(e, FLAG.invalid | FLAG.stack));
    keepC1(e);
    call(e, 'x87Finish', zero, zero);
    notePointers(e);
  });
}

const moves: readonly Instruction[] = [
  declare('fld', [['D9 /0', 'Md'], ['DD /0', 'Mq']], (e, source) => {
    waitForExceptions(e);
    e.hostForRead(source);
    noException(e);
    fromMemory(e, floatOf(source.size), source, SLOT.a);
    call(e, 'x87Load');
    call(e, 'x87FinishPush');
    notePointers(e, source);
  }),
  declare('fld', [['DB /5', 'Mt']], (e, source) => {
    waitForExceptions(e);
    const host = e.hostForRead(source);
    noException(e);
    put(e, SLOT.r, i64.load(host), i32.load16_u(host, 8));
    call(e, 'x87FinishPush');
    notePointers(e, source);
  }),
  declare('fld', [['D9 C0+i', 'STi']], (e, sti) => {
    waitForExceptions(e);
    call(e, 'x87Operand', e.stIndex(sti));
    copySlot(e, SLOT.r, SLOT.a);
    e.when(isClass(e, SLOT.a, CLASS.empty), () => invalid(e, FLAG.invalid | FLAG.stack));
    call(e, 'x87FinishPush');
    notePointers(e);
  }),
  declare('fild', [['DF /0', 'Mw'], ['DB /0', 'Md'], ['DF /5', 'Mq']], (e, source) => {
    waitForExceptions(e);
    e.hostForRead(source);
    noException(e);
    fromMemory(e, 'integer', source, SLOT.r);
    call(e, 'x87FinishPush');
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
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    copySlot(e, SLOT.r, SLOT.a);
    e.when(isClass(e, SLOT.a, CLASS.empty), () => invalid(e, FLAG.invalid | FLAG.stack));
    storeResult(e, target, 1, (host) => {
      e.emit(i64.store(host, significandOf(e, SLOT.r)));
      e.emit(i32.store16(host, exponentOf(e, SLOT.r), 8));
    });
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
    waitForExceptions(e);
    call(e, 'x87Operands', zero, e.stIndex(sti));
    call(e, 'x87Exchange', e.stIndex(sti));
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
  helpers: [
    ...stateHelpers,
    ...arithmeticHelpers,
    ...memoryHelpers,
    {
      // x87Exchange(context, i): A and B, which are ST(0) and ST(i), change places; empty ones become the default NaN
      name: 'x87Exchange',
      parameters: ['i32', 'i32'],
      emit(f, context, i) {
        const empty = (slot: number): Code => isClass(f, slot, CLASS.empty);
        f.when(i32.or(empty(SLOT.a), empty(SLOT.b)), () => raise(f, FLAG.invalid | FLAG.stack));
        copySlot(f, SLOT.r, SLOT.a);
        f.when(empty(SLOT.a), () => invalid(f));
        f.emit(f.call('x87Finish', context, i, zero));
        const stopped = i32.and(i32.and(f.get('fsw'), i32.const(0x80)), i32.load(context, SLOT.r + 16));
        f.when(i32.eqz(stopped), () => {
          copySlot(f, SLOT.r, SLOT.b);
          f.when(empty(SLOT.b), () => invalid(f));
          f.emit(f.call('x87Finish', context, zero, zero));
        });
      },
    },
  ],
};
