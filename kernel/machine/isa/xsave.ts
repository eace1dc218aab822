// XSAVE and its kin, XRSTOR, XGETBV, XSETBV (SDM vol. 1, chapter 13). Components: x87, SSE, and with AVX the upper halves
// of the YMM registers.
//
// Which components are in their initial state is the processor's to find out: as on Intel's, x87 and SSE never are, and
// the upper halves are when all of them are zero.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import { v128 } from '../exec/wasm-simd.ts';
import { CONTEXT, MXCSR_DEFAULT, SYSTEM } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import { CR4 } from '../system-state.ts';
import { XSAVE } from './cpuid-leaves.ts';
import type { Family, Form, Helper, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import {
  IMAGE,
  MXCSR_MASK,
  clearVectors,
  copyVectors,
  resetX87,
  restoreX87,
  saveMxcsr,
  saveX87,
  checkArea,
} from './sse-state.ts';
import { ZERO, sourceOf } from './sse-support.ts';
import { fieldOf, setField } from './system-support.ts';

const has = (bits: Code, component: number): Code => i32.and(bits, i32.const(component));
const VECTORS = XSAVE.sse | XSAVE.avx;
/** Of XCOMP_BV: the compacted form. Tested in its upper word. */
const COMPACTED = 1n << 63n;

/** The components that are not in their initial state. */
function inUse(f: Emitter): Code {
  let all: Code = ZERO;
  for (let i = 0; i < 16; i++) all = v128.or(all, v128.load(f.context, CONTEXT.ymmHigh + i * 16));
  return f.let('i32', select(v128.any_true(all), i32.const(7), i32.const(3)));
}

const KIND = { xsave: 0, xsaveopt: 1, xsavec: 2 } as const;

/** xsaveTo(context, host, requested components, 64-bit pointers?, KIND). */
const saveHelper: Helper = {
  name: 'xsaveTo',
  parameters: ['i32', 'i32', 'i32', 'i32', 'i32'],
  emit(f, context, host, requested, wide, kind) {
    const used = inUse(f);
    const saved = f.let('i32', select(kind, i32.and(requested, used), requested));
    f.when(has(saved, XSAVE.x87), () => saveX87(f, host, wide));
    const withMxcsr = select(i32.eq(kind, i32.const(KIND.xsavec)), i32.const(XSAVE.sse), i32.const(VECTORS));
    f.when(i32.and(requested, withMxcsr), () => saveMxcsr(f, host));
    f.when(has(saved, XSAVE.sse), () => copyVectors(f, host, IMAGE.xmm, context, CONTEXT.xmm));
    f.when(has(saved, XSAVE.avx), () => copyVectors(f, host, XSAVE.avxAt, context, CONTEXT.ymmHigh));
    const found = i64.extend_i32_u(i32.and(requested, used));
    const wanted = i64.extend_i32_u(requested);
    f.when(
      i32.eq(kind, i32.const(KIND.xsavec)),
      () => {
        f.emit(i64.store(host, found, XSAVE.xstateBv));
        f.emit(i64.store(host, i64.or(wanted, i64.const(COMPACTED)), XSAVE.xcompBv));
      },
      () => {
        const others = i64.and(i64.load(host, XSAVE.xstateBv), i64.xor(wanted, i64.const(-1)));
        f.emit(i64.store(host, i64.or(others, found), XSAVE.xstateBv));
      },
    );
  },
};

/** xrstorChecks(context, host, requested): 1 if the image raises #GP. */
const checkHelper: Helper = {
  name: 'xrstorChecks',
  parameters: ['i32', 'i32', 'i32'],
  result: 'i32',
  emit(f, _context, host, requested) {
    const present = f.let('i64', i64.load(host, XSAVE.xstateBv));
    const layout = f.let('i64', i64.load(host, XSAVE.xcompBv));
    const components = f.let('i64', i64.and(layout, i64.const(COMPACTED - 1n)));
    const isCompacted = f.let('i32', i64.lt_s(layout, i64.const(0)));
    const outside = (value: Code, allowed: Code): Code => i64.and(value, i64.xor(allowed, i64.const(-1)));
    const enabled = f.let('i64', fieldOf(f, SYSTEM.xcr0));
    const wrong = f.variable('i64');
    const loadsMxcsr = f.variable('i32');
    f.when(
      isCompacted,
      () => {
        let rest = i64.or(outside(components, enabled), outside(present, components));
        for (let at = XSAVE.reserved; at < XSAVE.legacyBytes; at += 8)
          rest = i64.or(rest, i64.load(host, at));
        wrong.set(rest);
        loadsMxcsr.set(i32.and(has(requested, XSAVE.sse), i32.wrap_i64(present)));
      },
      () => {
        wrong.set(i64.or(outside(present, enabled), i64.or(layout, i64.load(host, XSAVE.reserved))));
        loadsMxcsr.set(has(requested, VECTORS));
      },
    );
    const badMxcsr = i32.gt_u(i32.load(host, IMAGE.mxcsr), i32.const(MXCSR_MASK));
    const bad = i32.and(badMxcsr, i32.ne(loadsMxcsr.get, i32.const(0)));
    return i32.or(i64.ne(wrong.get, i64.const(0)), bad);
  },
};

/** xrstorFrom(context, host, requested, 64-bit pointers?): after the checks. */
const restoreHelper: Helper = {
  name: 'xrstorFrom',
  parameters: ['i32', 'i32', 'i32', 'i32'],
  emit(f, context, host, requested, wide) {
    const present = f.let('i32', i32.load(host, XSAVE.xstateBv));
    const isCompacted = f.let('i32', i64.lt_s(i64.load(host, XSAVE.xcompBv), i64.const(0)));
    const component = (bit: number, load: () => void, reset: () => void): void =>
      f.when(has(requested, bit), () => f.when(has(present, bit), load, reset));
    component(XSAVE.x87, () => restoreX87(f, host, wide), () => resetX87(f));
    component(
      XSAVE.sse,
      () => copyVectors(f, context, CONTEXT.xmm, host, IMAGE.xmm),
      () => clearVectors(f, CONTEXT.xmm),
    );
    component(
      XSAVE.avx,
      () => copyVectors(f, context, CONTEXT.ymmHigh, host, XSAVE.avxAt),
      () => clearVectors(f, CONTEXT.ymmHigh),
    );
    const loaded = i32.load(host, IMAGE.mxcsr);
    f.when(
      isCompacted,
      () =>
        f.when(has(requested, XSAVE.sse), () =>
          f.set('mxcsr', select(has(present, XSAVE.sse), loaded, i32.const(MXCSR_DEFAULT))),
        ),
      () => f.when(has(requested, VECTORS), () => f.set('mxcsr', loaded)),
    );
  },
}; // prettier-ignore

const raiseIfOff = (e: InstructionEmitter): void => {
  const on = i64.and(fieldOf(e, SYSTEM.cr4), i64.const(CR4.OSXSAVE));
  e.raiseIf(i64.eqz(on), VECTOR.invalidOpcode);
};

/** XCR0 and EDX:EAX: the components that the instruction is about. */
const requestedOf = (e: InstructionEmitter): Code =>
  e.let('i32', i32.and(i32.wrap_i64(fieldOf(e, SYSTEM.xcr0)), i32.wrap_i64(e.register(0))));

/** i32 host address of the area, as far as these components need it. */
function areaOf(e: InstructionEmitter, operand: Operand, requested: Code, access: 'hostRead' | 'hostWrite'): Code {
  const address = e.address(operand);
  checkArea(e, address, 64);
  const bytes = select(has(requested, XSAVE.avx), i32.const(XSAVE.avxBytes), i32.const(XSAVE.legacyBytes));
  const host = e.let('i32', e.call(access, e.context, address, bytes));
  e.faultIf(i32.eqz(host));
  return host;
} // prettier-ignore

const isWide = (e: InstructionEmitter): Code => i32.const(e.encoding.includes('REX.W') ? 1 : 0);
const bothWidths = (encoding: string): Form[] => [
  [`NP ${encoding} W0`, 'M'],
  [`NP REX.W ${encoding}`, 'M'],
];
const WHOLE = 'an area that is not accessible as a whole, where not all of it is used';

function saving(mnemonic: keyof typeof KIND, encoding: string): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature: 'xsave',
    missing: WHOLE,
    forms: bothWidths(encoding),
    emit(e, target) {
      raiseIfOff(e);
      const requested = requestedOf(e);
      const host = areaOf(e, target, requested, 'hostWrite');
      e.emit(e.call('xsaveTo', e.context, host, requested, isWide(e), i32.const(KIND[mnemonic])));
      e.doneAt(host);
    },
  });
}

export const xsave: Family = {
  helpers: [saveHelper, checkHelper, restoreHelper],
  instructions: [
    saving('xsave', '0F AE /4'),
    saving('xsaveopt', '0F AE /6'),
    saving('xsavec', '0F C7 /4'),
    instruction({
      mnemonic: 'xrstor',
      source: sourceOf('xrstor'),
      feature: 'xsave',
      missing: WHOLE,
      forms: bothWidths('0F AE /5'),
      emit(e, source) {
        raiseIfOff(e);
        const requested = requestedOf(e);
        const host = areaOf(e, source, requested, 'hostRead');
        e.raiseIf(e.call('xrstorChecks', e.context, host, requested), VECTOR.generalProtection);
        e.emit(e.call('xrstorFrom', e.context, host, requested, isWide(e)));
      },
    }),
    instruction({
      mnemonic: 'xgetbv',
      source: sourceOf('xgetbv'),
      feature: 'xsave',
      forms: [['NP 0F 01 D0', '']],
      emit(e) {
        raiseIfOff(e);
        const number = e.let('i32', i32.wrap_i64(e.register(1)));
        e.raiseIf(i32.gt_u(number, i32.const(1)), VECTOR.generalProtection);
        const enabled = fieldOf(e, SYSTEM.xcr0);
        const used = i64.and(enabled, i64.extend_i32_u(inUse(e)));
        const value = e.let('i64', select(number, used, enabled));
        e.setRegister(0, value, 4);
        e.setRegister(2, i64.shr_u(value, i64.const(32)), 4);
      },
    }),
    instruction({
      mnemonic: 'xsetbv',
      source: sourceOf('xsetbv'),
      feature: 'xsave',
      missing: 'what XCR0 turns off still executes',
      forms: [['NP 0F 01 D1', '']],
      emit(e) {
        raiseIfOff(e);
        e.privileged();
        const low = i64.and(e.register(0), i64.const(0xffff_ffff));
        const value = e.let('i64', i64.or(low, i64.shl(e.register(2), i64.const(32))));
        // x87 always; AVX only with SSE; nothing that the CPU has not
        const unknown = i64.and(value, i64.xor(fieldOf(e, SYSTEM.xcr0Valid), i64.const(-1)));
        const withoutX87 = i64.eqz(i64.and(value, i64.const(XSAVE.x87)));
        const onlyAvx = i64.eq(i64.and(value, i64.const(VECTORS)), i64.const(XSAVE.avx));
        const wrong = i32.or(i32.or(i64.ne(unknown, i64.const(0)), withoutX87), onlyAvx);
        e.raiseIf(i32.or(i64.ne(i64.and(e.register(1), i64.const(0xffff_ffff)), i64.const(0)), wrong), VECTOR.generalProtection);
        setField(e, SYSTEM.xcr0, value);
      },
    }),
  ],
}; // prettier-ignore
