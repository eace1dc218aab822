// The SHA extensions: rounds and message schedules of SHA-1 and SHA-256 (FIPS 180-4). Words are i32 lanes; the first
// word of SHA-1 and the variable A of SHA-256 are in the topmost lane (SDM vol. 2B).

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32 } from '../exec/wasm.ts';
import { i32x4, v128 } from '../exec/wasm-simd.ts';
import { CONTEXT } from '../layout.ts';
import type { Family, Helper, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import { ZERO, immediate, sourceOf } from './sse-support.ts';

/** Four words, lane 0 first. */
type Words = readonly [Code, Code, Code, Code];
const wordsOf = (f: Emitter, vector: Code): Words => {
  const word = (lane: number): Code => f.let('i32', i32x4.extract_lane(vector, lane));
  return [word(0), word(1), word(2), word(3)];
};
const vectorOf = (words: Words): Code =>
  words.reduce((vector, word, lane) => i32x4.replace_lane(vector, lane, word), ZERO);
const xor = (...values: Code[]): Code => values.reduce((a, b) => i32.xor(a, b));
const sum = (...values: Code[]): Code => values.reduce((a, b) => i32.add(a, b));
const left = (value: Code, n: number): Code => i32.rotl(value, i32.const(n));
const right = (value: Code, n: number): Code => i32.rotr(value, i32.const(n));

const choose = (b: Code, c: Code, d: Code): Code => xor(i32.and(b, c), i32.and(i32.xor(b, i32.const(-1)), d));
const parity = (b: Code, c: Code, d: Code): Code => xor(b, c, d);
const majority = (b: Code, c: Code, d: Code): Code => xor(i32.and(b, c), i32.and(b, d), i32.and(c, d));

const SHA1 = [
  [choose, 0x5a82_7999],
  [parity, 0x6ed9_eba1],
  [majority, 0x8f1b_bcdc],
  [parity, 0xca62_c1d6],
] as const;

/** sha1Rounds0 to 3(state, words): four rounds with the function and constant of that part; E is added to the first word. */
const sha1Rounds = SHA1.map(([mix, constant], part): Helper => ({
  name: `sha1Rounds${part}`,
  parameters: ['v128', 'v128'],
  result: 'v128',
  emit(f, state, message) {
    const [d3, c2, b1, a0] = wordsOf(f, state);
    const words = wordsOf(f, message).toReversed();
    let [a, b, c, d, e]: Code[] = [a0, b1, c2, d3, i32.const(0)];
    for (const word of words) {
      if (a === undefined || b === undefined || c === undefined || d === undefined || e === undefined) break;
      const next = f.let('i32', sum(mix(b, c, d), left(a, 5), word, e, i32.const(constant)));
      [a, b, c, d, e] = [next, a, f.let('i32', left(b, 30)), c, d];
    }
    if (a === undefined || b === undefined || c === undefined || d === undefined) return ZERO;
    return vectorOf([d, c, b, a]);
  },
}));

/** sha256Rounds(CDGH, ABEF, words and constants): two rounds. */
const sha256Rounds: Helper = {
  name: 'sha256Rounds',
  parameters: ['v128', 'v128', 'v128'],
  result: 'v128',
  emit(f, first, second, message) {
    let [h, g, d, c] = wordsOf(f, first);
    let [fWord, e, b, a] = wordsOf(f, second);
    const [word0, word1] = wordsOf(f, message);
    for (const word of [word0, word1]) {
      const sigma1 = xor(right(e, 6), right(e, 11), right(e, 25));
      const sigma0 = xor(right(a, 2), right(a, 13), right(a, 22));
      const part = f.let('i32', sum(choose(e, fWord, g), sigma1, word, h));
      const nextA = f.let('i32', sum(part, majority(a, b, c), sigma0));
      const nextE = f.let('i32', sum(part, d));
      [h, g, fWord, e, d, c, b, a] = [g, fWord, e, nextE, c, b, a, nextA];
    }
    return vectorOf([fWord, e, b, a]);
  },
};

const small0 = (w: Code): Code => xor(right(w, 7), right(w, 18), i32.shr_u(w, i32.const(3)));
const small1 = (w: Code): Code => xor(right(w, 17), right(w, 19), i32.shr_u(w, i32.const(10)));

type Combine = (e: InstructionEmitter, a: Words, b: Words) => Code;
function schedule(mnemonic: string, opcode: string, combine: Combine): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature: 'sha',
    forms: [[`NP 0F 38 ${opcode} /r`, 'Vx,Wx']],
    emit(e, target, source) {
      const a = wordsOf(e, e.read(target));
      const b = wordsOf(e, e.read(source));
      e.write(target, combine(e, a, b));
    },
  });
}

const sha1Message2: Combine = (e, a, b) => {
  const word16 = e.let('i32', left(i32.xor(a[3], b[2]), 1));
  const word17 = left(i32.xor(a[2], b[1]), 1);
  const word18 = left(i32.xor(a[1], b[0]), 1);
  const word19 = left(i32.xor(a[0], word16), 1);
  return vectorOf([word19, word18, word17, word16]);
};

const sha256Message2: Combine = (e, a, b) => {
  const word16 = e.let('i32', sum(a[0], small1(b[2])));
  const word17 = e.let('i32', sum(a[1], small1(b[3])));
  const word18 = sum(a[2], small1(word16));
  const word19 = sum(a[3], small1(word17));
  return vectorOf([word16, word17, word18, word19]);
};

export const sha: Family = {
  helpers: [...sha1Rounds, sha256Rounds],
  instructions: [
    instruction({
      mnemonic: 'sha1rnds4',
      source: sourceOf('sha1rnds4'),
      feature: 'sha',
      forms: [['NP 0F 3A CC /r ib', 'Vx,Wx,Ib']],
      emit(e, target, source, part) {
        if (part === undefined) return;
        const state = e.read(target);
        const words = e.read(source);
        const number = e.let('i32', i32.and(immediate(e, part), i32.const(3)));
        const result = e.variable('v128');
        SHA1.forEach((_function, i) => {
          e.when(i32.eq(number, i32.const(i)), () => result.set(e.call(`sha1Rounds${i}`, state, words)));
        });
        e.write(target, result.get);
      },
    }),
    schedule('sha1nexte', 'C8', (_e, a, b) => vectorOf([b[0], b[1], b[2], i32.add(b[3], left(a[3], 30))])),
    schedule('sha1msg1', 'C9', (_e, a, b) =>
      vectorOf([i32.xor(b[2], a[0]), i32.xor(b[3], a[1]), i32.xor(a[0], a[2]), i32.xor(a[1], a[3])]),
    ),
    schedule('sha1msg2', 'CA', sha1Message2),
    instruction({
      mnemonic: 'sha256rnds2',
      source: `${sourceOf('sha256rnds2')}: words come from XMM0, which no operand names`,
      feature: 'sha',
      forms: [['NP 0F 38 CB /r', 'Vx,Wx']],
      emit(e, target, source) {
        const state = e.read(target);
        const other = e.read(source);
        e.write(target, e.call('sha256Rounds', state, other, v128.load(e.context, CONTEXT.xmm)));
      },
    }),
    schedule('sha256msg1', 'CC', (_e, a, b) =>
      vectorOf([sum(a[0], small0(a[1])), sum(a[1], small0(a[2])), sum(a[2], small0(a[3])), sum(a[3], small0(b[0]))]),
    ),
    schedule('sha256msg2', 'CD', sha256Message2),
  ],
}; // prettier-ignore
