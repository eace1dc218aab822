// MXCSR, EMMS, and the whole x87, MMX and SSE state in memory: FXSAVE and FXRSTOR (SDM vol. 1, 10.5; vol. 2A, FXSAVE).
//
// The image numbers the x87 registers from TOP and keeps one bit of each tag; a context has the physical registers and
// two bits, so FXRSTOR finds out from the register what kind of number it holds.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import { v128 } from '../exec/wasm-simd.ts';
import { CONTEXT, FCW_DEFAULT } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Family, Helper } from './declare.ts';
import { instruction } from './declare.ts';
import { ZERO, sourceOf } from './sse-support.ts';

export const MXCSR_MASK = 0xffff;
export const IMAGE = {
  fcw: 0,
  fsw: 2,
  ftw: 4,
  fop: 6,
  fip: 8,
  fdp: 16,
  mxcsr: 24,
  mxcsrMask: 28,
  st: 32,
  xmm: 160,
} as const;
const TAG = { valid: 0, zero: 1, special: 2, empty: 3 } as const;

/** Bytes `from`: context to image or back; pointers are 64 bits wide with REX.W, else 32 bits and a selector. */
type Copy = (f: Emitter, host: Code, wide: Code) => void;

const physicalAt = (f: Emitter, top: Code, i: number): Code =>
  f.let('i32', i32.add(f.context, i32.shl(i32.and(i32.add(top, i32.const(i)), i32.const(7)), i32.const(4))));
const topOf = (fsw: Code): Code => i32.and(i32.shr_u(fsw, i32.const(11)), i32.const(7));

/** Every pair of tag bits to one bit: not empty. */
function presentTags(f: Emitter): Code {
  const full = f.let('i32', f.get('ftw'));
  const notBoth = i32.xor(i32.and(full, i32.shr_u(full, i32.const(1))), i32.const(-1));
  let bits: Code = i32.const(0);
  for (let i = 0; i < 8; i++)
    bits = i32.or(bits, i32.and(i32.shr_u(notBoth, i32.const(i)), i32.const(1 << i)));
  return bits;
}

export const saveX87: Copy = (f, host, wide) => {
  const fsw = f.let('i32', f.get('fsw'));
  f.emit(i32.store16(host, f.get('fcw'), IMAGE.fcw));
  f.emit(i32.store16(host, fsw, IMAGE.fsw));
  f.emit(i32.store16(host, presentTags(f), IMAGE.ftw));
  f.emit(i32.store16(host, f.get('fop'), IMAGE.fop));
  const pointer = (value: Code): Code => select(wide, value, i64.and(value, i64.const(0xffff_ffff)));
  f.emit(i64.store(host, pointer(f.get('fip')), IMAGE.fip));
  f.emit(i64.store(host, pointer(f.get('fdp')), IMAGE.fdp));
  const top = f.let('i32', topOf(fsw));
  for (let i = 0; i < 8; i++) {
    const from = physicalAt(f, top, i);
    f.emit(i64.store(host, i64.load(from, CONTEXT.x87), IMAGE.st + i * 16));
    f.emit(i64.store(host, i64.load16_u(from, CONTEXT.x87 + 8), IMAGE.st + i * 16 + 8));
  }
};

export function saveMxcsr(f: Emitter, host: Code): void {
  f.emit(i32.store(host, f.get('mxcsr'), IMAGE.mxcsr));
  f.emit(i32.store(host, i32.const(MXCSR_MASK), IMAGE.mxcsrMask));
}

/** 16 vectors, between host addresses. */
export function copyVectors(f: Emitter, to: Code, toOffset: number, from: Code, fromOffset: number): void {
  for (let i = 0; i < 16; i++)
    f.emit(v128.store(to, v128.load(from, fromOffset + i * 16), toOffset + i * 16));
}
export function clearVectors(f: Emitter, offset: number): void {
  for (let i = 0; i < 16; i++) f.emit(v128.store(f.context, ZERO, offset + i * 16));
}

const save: Copy = (f, host, wide) => {
  saveX87(f, host, wide);
  saveMxcsr(f, host);
  copyVectors(f, host, IMAGE.xmm, f.context, CONTEXT.xmm);
};

export const restoreX87: Copy = (f, host, wide) => {
  const fcw = f.let(
    'i32',
    i32.or(i32.and(i32.load16_u(host, IMAGE.fcw), i32.const(0x1f3f)), i32.const(0x40)),
  );
  // Error summary and busy follow from flags and masks
  const image = f.let('i32', i32.load16_u(host, IMAGE.fsw));
  const unmasked = i32.and(i32.and(image, i32.xor(fcw, i32.const(-1))), i32.const(0x3f));
  const fsw = f.let(
    'i32',
    i32.or(i32.and(image, i32.const(0x7f7f)), select(unmasked, i32.const(0x8080), i32.const(0))),
  );
  f.set('fcw', fcw);
  f.set('fsw', fsw);
  f.set('fop', i32.and(i32.load16_u(host, IMAGE.fop), i32.const(0x7ff)));
  const pointer = (offset: number): Code => select(wide, i64.load(host, offset), i64.load32_u(host, offset));
  f.set('fip', pointer(IMAGE.fip));
  f.set('fdp', pointer(IMAGE.fdp));
  const top = f.let('i32', topOf(fsw));
  const present = f.let('i32', i32.load8_u(host, IMAGE.ftw));
  const tags = f.variable('i32');
  tags.set(i32.const(0));
  for (let i = 0; i < 8; i++) {
    const to = physicalAt(f, top, i);
    const significand = f.let('i64', i64.load(host, IMAGE.st + i * 16));
    const exponent = f.let('i32', i32.load16_u(host, IMAGE.st + i * 16 + 8));
    f.emit(i64.store(to, significand, CONTEXT.x87));
    f.emit(i32.store16(to, exponent, CONTEXT.x87 + 8));
    const field = i32.and(exponent, i32.const(0x7fff));
    const special = i32.or(
      i32.ge_u(i32.sub(field, i32.const(1)), i32.const(0x7ffe)),
      i64.ge_s(significand, i64.const(0)),
    );
    const zero = i32.and(i32.eqz(field), i64.eqz(significand));
    const kind = select(
      zero,
      i32.const(TAG.zero),
      select(special, i32.const(TAG.special), i32.const(TAG.valid)),
    );
    const physical = f.let('i32', i32.and(i32.add(top, i32.const(i)), i32.const(7)));
    const isPresent = i32.and(i32.shr_u(present, physical), i32.const(1));
    const tag = select(isPresent, kind, i32.const(TAG.empty));
    tags.set(i32.or(tags.get, i32.shl(tag, i32.shl(physical, i32.const(1)))));
  }
  f.set('ftw', tags.get);
};

/** As FNINIT, and registers and pointers zero. */
export function resetX87(f: Emitter): void {
  f.set('fcw', i32.const(FCW_DEFAULT));
  f.set('fsw', i32.const(0));
  f.set('ftw', i32.const(0xffff));
  f.set('fop', i32.const(0));
  f.set('fip', i64.const(0));
  f.set('fdp', i64.const(0));
  for (let i = 0; i < 8; i++) f.emit(v128.store(f.context, ZERO, CONTEXT.x87 + i * 16));
}

const restore: Copy = (f, host, wide) => {
  restoreX87(f, host, wide);
  f.set('mxcsr', i32.load(host, IMAGE.mxcsr));
  copyVectors(f, f.context, CONTEXT.xmm, host, IMAGE.xmm);
};

/** (context, host address of the image, 64-bit pointers?) */
const helper = (name: string, copy: Copy): Helper => ({
  name,
  parameters: ['i32', 'i32', 'i32'],
  emit: (f, _context, host, wide) => copy(f, host, wide),
});

const isWide = (encoding: string): Code => i32.const(encoding.includes('REX.W') ? 1 : 0);

/**
 * #GP where the area in memory is not aligned. That its first byte is not canonical counts more, with #SS by RSP and RBP;
 * then the access itself raises it. (Of a vector, alignment counts more.)
 */
export function checkArea(e: InstructionEmitter, address: Code, alignment: 16 | 64): void {
  const isCanonical = i64.eq(i64.shr_s(i64.shl(address, i64.const(16)), i64.const(16)), address);
  const rest = i32.wrap_i64(i64.and(address, i64.const(alignment - 1)));
  e.raiseIf(select(isCanonical, rest, i32.const(0)), VECTOR.generalProtection);
}

export const sseState: Family = {
  helpers: [helper('fxsaveTo', save), helper('fxrstorFrom', restore)],
  instructions: [
    instruction({
      mnemonic: 'ldmxcsr',
      source: sourceOf('ldmxcsr'),
      feature: 'sse',
      forms: [['NP 0F AE /2', 'Md']],
      emit(e, source) {
        const value = e.let('i32', i32.wrap_i64(e.read(source)));
        e.raiseIf(i32.gt_u(value, i32.const(MXCSR_MASK)), VECTOR.generalProtection);
        e.set('mxcsr', value);
      },
    }),
    instruction({
      mnemonic: 'stmxcsr',
      source: sourceOf('stmxcsr'),
      feature: 'sse',
      forms: [['NP 0F AE /3', 'Md']],
      emit: (e, target) => e.write(target, i64.extend_i32_u(e.get('mxcsr'))),
    }),
    instruction({
      mnemonic: 'fxsave',
      source: sourceOf('fxsave'),
      feature: 'fxsr',
      forms: [['NP 0F AE /0 W0', 'M512'], ['NP REX.W 0F AE /0', 'M512']],
      emit(e, target) {
        checkArea(e, e.address(target), 16);
        const host = e.hostForWrite(target);
        e.emit(e.call('fxsaveTo', e.context, host, isWide(e.encoding)));
        e.done(target);
      },
    }),
    instruction({
      mnemonic: 'fxrstor',
      source: sourceOf('fxrstor'),
      feature: 'fxsr',
      forms: [['NP 0F AE /1 W0', 'M512'], ['NP REX.W 0F AE /1', 'M512']],
      emit(e, source) {
        checkArea(e, e.address(source), 16);
        const host = e.hostForRead(source);
        e.raiseIf(i32.gt_u(i32.load(host, IMAGE.mxcsr), i32.const(MXCSR_MASK)), VECTOR.generalProtection);
        e.emit(e.call('fxrstorFrom', e.context, host, isWide(e.encoding)));
      },
    }),
    instruction({
      mnemonic: 'emms',
      source: sourceOf('emms'),
      feature: 'mmx',
      forms: [['NP 0F 77', '']],
      emit(e) {
        e.raiseIf(i32.and(e.get('fsw'), i32.const(0x80)), VECTOR.floatingPoint);
        e.set('ftw', i32.const(0xffff));
        e.set('fsw', i32.and(e.get('fsw'), i32.const(~0x3800)));
      },
    }),
  ],
}; // prettier-ignore
