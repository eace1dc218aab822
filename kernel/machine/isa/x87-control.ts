// x87 control: control and status word, environment and whole state in memory, initialisation, WAIT (SDM vol. 1, 8.1).
//
// The environment in memory has 28 bytes, or 14 with an operand-size prefix; behind it FNSAVE puts the eight registers of
// 10 bytes. In 64-bit mode there is no more of the pointers than their offsets; the selectors are 0 (as CPUs that
// deprecate FPU CS and DS store them).

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import { CONTEXT, FCW_DEFAULT } from '../layout.ts';
import type { Family, Helper } from './declare.ts';
import { CLASS, physical, placeOf, isEmpty, summaryOf, waitForExceptions } from './x87-state.ts';
import { statusOf } from './x87-stack.ts';
import { declare, declareGeneral } from './x87-support.ts';

const ALL_MASKS = 0x3f;
const CONTROL_BITS = 0x1f3f;
const CONTROL_FIXED = 0x40;
const CODES = 0x4700;
const TOP = 0x3800;
const TAG = { valid: 0, zero: 1, special: 2, empty: 3 } as const;

const controlWord = (value: Code): Code =>
  i32.or(i32.and(value, i32.const(CONTROL_BITS)), i32.const(CONTROL_FIXED));

function initialize(f: Emitter): void {
  f.set('fcw', i32.const(FCW_DEFAULT));
  f.set('fsw', i32.const(0));
  f.set('ftw', i32.const(0xffff));
  f.set('fop', i32.const(0));
  f.set('fip', i64.const(0));
  f.set('fdp', i64.const(0));
}

/** x87Tags(context): the full tag word, by what the registers hold. */
const tags: Helper = {
  name: 'x87Tags',
  parameters: ['i32'],
  result: 'i32',
  emit(f, context) {
    const word = f.variable('i32');
    const number = f.variable('i32');
    word.set(i32.const(0));
    number.set(i32.const(8));
    f.loop((leave) => {
      leave(i32.eqz(number.get));
      number.set(i32.sub(number.get, i32.const(1)));
      const place = placeOf(f, number.get);
      const significand = i64.load(place, CONTEXT.x87);
      const exponent = i32.load16_u(place, CONTEXT.x87 + 8);
      const kind = f.let('i32', f.call('x87Classify', context, significand, exponent));
      const zero = i32.eq(kind, i32.const(CLASS.zero));
      const full = select(
        i32.eq(kind, i32.const(CLASS.normal)),
        i32.const(TAG.valid),
        select(zero, i32.const(TAG.zero), i32.const(TAG.special)),
      );
      const tag = select(isEmpty(f, number.get), i32.const(TAG.empty), full);
      word.set(i32.or(i32.shl(word.get, i32.const(2)), tag));
    });
    return word.get;
  },
};

/** x87SaveEnvironment(context, host, short): 28 or 14 bytes. */
const saveEnvironment: Helper = {
  name: 'x87SaveEnvironment',
  parameters: ['i32', 'i32', 'i32'],
  emit(f, context, host, short) {
    const words = f.call('x87Tags', context);
    const word = f.let('i32', words);
    const pointer = (field: 'fip' | 'fdp'): Code => i32.wrap_i64(f.get(field));
    f.when(
      short,
      () =>
        [f.get('fcw'), f.get('fsw'), word, pointer('fip'), i32.const(0), pointer('fdp'), i32.const(0)].forEach((value, i) =>
          f.emit(i32.store16(host, value, i * 2)),
        ),
      () => {
        const upper = i32.const(0xffff_0000);
        const selectorAndOpcode = i32.shl(f.get('fop'), i32.const(16));
        [
          i32.or(f.get('fcw'), upper), i32.or(f.get('fsw'), upper), i32.or(word, upper), pointer('fip'), selectorAndOpcode,
          pointer('fdp'), upper,
        ].forEach((value, i) => f.emit(i32.store(host, value, i * 4)));
      },
    );
  },
}; // prettier-ignore

/** x87LoadEnvironment(context, host, short). */
const loadEnvironment: Helper = {
  name: 'x87LoadEnvironment',
  parameters: ['i32', 'i32', 'i32'],
  emit(f, _context, host, short) {
    const step = f.let('i32', select(short, i32.const(2), i32.const(4)));
    const at = (i: number): Code => i32.add(host, i32.mul(step, i32.const(i)));
    const fcw = f.let('i32', controlWord(i32.load16_u(at(0))));
    f.set('fcw', fcw);
    f.set('fsw', summaryOf(i32.load16_u(at(1)), fcw));
    f.set('ftw', i32.load16_u(at(2)));
    const pointer = (i: number): Code => {
      const whole = f.variable('i64');
      f.when(short, () => whole.set(i64.load16_u(at(i))), () => whole.set(i64.load32_u(at(i)))); // prettier-ignore
      return whole.get;
    };
    f.set('fip', pointer(3));
    f.set('fdp', pointer(5));
    f.set('fop', select(short, i32.const(0), i32.and(i32.load16_u(host, 18), i32.const(0x7ff))));
  },
};

/** x87SaveRegisters(context, host), x87LoadRegisters: ST(0) to ST(7), 10 bytes each. */
const registers = (name: string, save: boolean): Helper => ({
  name,
  parameters: ['i32', 'i32'],
  emit(f, _context, host) {
    const i = f.variable('i32');
    i.set(i32.const(0));
    f.loop((leave) => {
      const register = i32.add(placeOf(f, physical(f, i.get)), i32.const(CONTEXT.x87));
      const image = i32.add(host, i32.mul(i.get, i32.const(10)));
      const [to, from] = save ? [image, register] : [register, image];
      const significand = i64.load(from);
      f.emit(i32.store16(to, i32.load16_u(from, 8), 8));
      f.emit(i64.store(to, significand));
      i.set(i32.add(i.get, i32.const(1)));
      leave(i32.eq(i.get, i32.const(8)));
    });
  },
});

const isShort = (e: InstructionEmitter): boolean => e.encoding.startsWith('66');
const short = (e: InstructionEmitter): Code => i32.const(isShort(e) ? 1 : 0);
const image = (e: InstructionEmitter, host: Code): Code => i32.add(host, i32.const(isShort(e) ? 14 : 28));

function loadControl(e: InstructionEmitter, value: Code): void {
  const fcw = e.let('i32', controlWord(value));
  e.set('fcw', fcw);
  e.set('fsw', summaryOf(e.get('fsw'), fcw));
}

export const x87Control: Family = {
  helpers: [tags, saveEnvironment, loadEnvironment, registers('x87SaveRegisters', true), registers('x87LoadRegisters', false)],
  instructions: [
    declareGeneral('fldcw', [['D9 /5', 'Mw']], (e, source) => {
      waitForExceptions(e);
      loadControl(e, i32.wrap_i64(e.read(source)));
    }),
    declare('fnstcw', [['D9 /7', 'Mw']], (e, target) => e.write(target, i64.extend_i32_u(e.get('fcw')))),
    declare('fnstsw', [['DD /7', 'Mw'], ['DF E0', 'AX']], (e, target) => {
      const known = e.x87?.known;
      e.write(target, i64.extend_i32_u(known === undefined ? e.get('fsw') : statusOf(known)));
    }),
    declareGeneral('fnclex', [['DB E2', '']], (e) => e.set('fsw', i32.and(e.get('fsw'), i32.const(CODES | TOP)))),
    declareGeneral('fninit', [['DB E3', '']], initialize),
    // Of the 8087 and 80287: nothing since
    declareGeneral('fneni', [['DB E0', '']], () => undefined),
    declareGeneral('fndisi', [['DB E1', '']], () => undefined),
    declareGeneral('fnsetpm', [['DB E4', '']], () => undefined),
    declareGeneral('fwait', [['9B', '']], waitForExceptions),
    declareGeneral('fnstenv', [['D9 /6', 'M28'], ['66 D9 /6 W0', 'Ms']], (e, target) => {
      const host = e.hostForWrite(target);
      e.emit(e.call('x87SaveEnvironment', e.context, host, short(e)));
      e.done(target);
      loadControl(e, i32.or(e.get('fcw'), i32.const(ALL_MASKS)));
    }),
    declareGeneral('fldenv', [['D9 /4', 'M28'], ['66 D9 /4 W0', 'Ms']], (e, source) => {
      waitForExceptions(e);
      e.emit(e.call('x87LoadEnvironment', e.context, e.hostForRead(source), short(e)));
    }),
    declareGeneral('fnsave', [['DD /6', 'M108'], ['66 DD /6 W0', 'M94']], (e, target) => {
      const host = e.hostForWrite(target);
      e.emit(e.call('x87SaveEnvironment', e.context, host, short(e)));
      e.emit(e.call('x87SaveRegisters', e.context, image(e, host)));
      e.done(target);
      initialize(e);
    }),
    declareGeneral('frstor', [['DD /4', 'M108'], ['66 DD /4 W0', 'M94']], (e, source) => {
      waitForExceptions(e);
      const host = e.hostForRead(source);
      e.emit(e.call('x87LoadEnvironment', e.context, host, short(e)));
      e.emit(e.call('x87LoadRegisters', e.context, image(e, host)));
    }),
  ],
}; // prettier-ignore
