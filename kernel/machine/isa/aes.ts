// AES-NI. A state is a v128, byte 0 first. The S-boxes are 16 vectors of 16 bytes each: a byte finds its value in the
// one whose number is its upper half, and zeros in the others. FIPS 197; SDM vol. 1, 12.13.

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32 } from '../exec/wasm.ts';
import { i8x16, v128 } from '../exec/wasm-simd.ts';
import { lifted } from './avx-lift.ts';
import type { Family, Helper, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import { ZERO, immediate, lanes, sourceOf } from './sse-support.ts';

/** Doubles in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
const doubled = (a: number): number => ((a << 1) ^ (a & 0x80 ? 0x11b : 0)) & 0xff;

function product(a: number, b: number): number {
  let sum = 0;
  for (let x = a, y = b; y !== 0; x = doubled(x), y >>= 1) if (y & 1) sum ^= x;
  return sum;
}

function substitutions(): { forward: number[]; inverse: number[] } {
  const inverse: number[] = new Array<number>(256).fill(0);
  const forward = Array.from({ length: 256 }, (_unused, a) => {
    let reciprocal = 0;
    for (let b = 1; b < 256 && reciprocal === 0; b++) if (product(a, b) === 1) reciprocal = b;
    const turned = (n: number): number => ((reciprocal << n) | (reciprocal >> (8 - n))) & 0xff;
    return reciprocal ^ turned(1) ^ turned(2) ^ turned(3) ^ turned(4) ^ 0x63;
  });
  forward.forEach((value, a) => (inverse[value] = a));
  return { forward, inverse };
}
const BOXES = substitutions();

/** aesSubstitute(state), aesUnsubstitute(state): every byte through the box. */
function substitute(name: string, box: readonly number[]): Helper {
  return {
    name,
    parameters: ['v128'],
    result: 'v128',
    emit(f, state) {
      const sum = f.variable('v128');
      const rest = f.variable('v128');
      rest.set(state);
      sum.set(ZERO);
      const step = lanes(...new Array<number>(16).fill(16));
      for (let row = 0; row < 16; row++) {
        const part = i8x16.swizzle(lanes(...box.slice(row * 16, row * 16 + 16)), rest.get);
        sum.set(v128.or(sum.get, part));
        rest.set(i8x16.sub(rest.get, step));
      }
      return sum.get;
    },
  };
}

const SHIFTED_ROWS = [0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11];
const UNSHIFTED_ROWS = [0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3];
/** Bytes of each column moved up by n places. */
const turned = (state: Code, n: number): Code =>
  i8x16.shuffle(
    state,
    state,
    Array.from({ length: 16 }, (_unused, i) => (i & 12) | ((i + n) & 3)),
  );
const shuffled = (state: Code, places: readonly number[]): Code => i8x16.shuffle(state, state, places);

const doubledBytes = (f: Emitter, state: Code): Code => {
  const reduction = v128.and(i8x16.shr_s(state, i32.const(7)), lanes(...new Array<number>(16).fill(0x1b)));
  return f.let('v128', v128.xor(i8x16.shl(state, i32.const(1)), reduction));
};

/** 2a + 3b + c + d for a column a b c d and its rotations. */
function mixed(f: Emitter, state: Code): Code {
  const twice = doubledBytes(f, state);
  const others = v128.xor(v128.xor(turned(state, 1), turned(state, 2)), turned(state, 3));
  return f.let('v128', v128.xor(v128.xor(twice, turned(twice, 1)), others));
}
/** The inverse is the same after a + 4 (a + c). */
function unmixed(f: Emitter, state: Code): Code {
  const sum = f.let('v128', v128.xor(state, turned(state, 2)));
  return mixed(f, f.let('v128', v128.xor(state, doubledBytes(f, doubledBytes(f, sum)))));
}

function round(mnemonic: string, opcode: string, isForward: boolean, isLast: boolean): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature: 'aes',
    forms: [[`66 0F 38 ${opcode} /r`, 'Vx,Wx']],
    emit(e, target, key) {
      const state = e.read(target);
      const roundKey = e.read(key);
      const box = isForward ? 'aesSubstitute' : 'aesUnsubstitute';
      const replaced = e.let('v128', e.call(box, shuffled(state, isForward ? SHIFTED_ROWS : UNSHIFTED_ROWS)));
      const whole = isLast ? replaced : isForward ? mixed(e, replaced) : unmixed(e, replaced);
      e.write(target, v128.xor(whole, roundKey));
    },
  });
}

const inverseMix = instruction({
  mnemonic: 'aesimc',
  source: sourceOf('aesimc'),
  feature: 'aes',
  forms: [['66 0F 38 DB /r', 'Vx,Wx']],
  emit: (e, target, source) => e.write(target, unmixed(e, e.read(source))),
});

const keyAssist = instruction({
  mnemonic: 'aeskeygenassist',
  source: sourceOf('aeskeygenassist'),
  feature: 'aes',
  forms: [['66 0F 3A DF /r ib', 'Vx,Wx,Ib']],
  emit(e, target, source, constant) {
    if (constant === undefined) return;
    const box = e.let('v128', e.call('aesSubstitute', e.read(source)));
    // Dwords 1 and 3, each also rotated by a byte with the round constant in its lowest
    const places = [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12];
    const byte = i8x16.splat(immediate(e, constant));
    const constants = v128.and(byte, lanes(0, 255, 0, 255));
    e.write(target, v128.xor(shuffled(box, places), constants));
  },
});

const rounds = [
  round('aesenc', 'DC', true, false),
  round('aesenclast', 'DD', true, true),
  round('aesdec', 'DE', false, false),
  round('aesdeclast', 'DF', false, true),
];

export const aes: Family = {
  instructions: [
    ...rounds,
    inverseMix,
    keyAssist,
    ...rounds.flatMap((declared) => lifted(declared, { shape: 'three' })),
    ...[inverseMix, keyAssist].flatMap((declared) => lifted(declared, { shape: 'two' })),
  ],
  helpers: [substitute('aesSubstitute', BOXES.forward), substitute('aesUnsubstitute', BOXES.inverse)],
};
