// Floating-point compares of AVX, with 32 predicates where SSE has 8 (SDM vol. 2A, CMPPD, table 3-1).

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { i32x4, v128 } from '../exec/wasm-simd.ts';
import { lifted } from './avx-lift.ts';
import type { Family, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import { compareLanesAreSlow, comparedScalars, unordered } from './sse-float.ts';
import { HOSTS } from './sse-host.ts';
import type { HostFormat } from './sse-host.ts';
import { nanLanes, vectorHelper, withFlags } from './sse-lanes.ts';
import { immediate, sourceOf } from './sse-support.ts';

/** For predicates 0 to 15, and again 16 to 31, the outcomes that make it true: less, equal, greater, unordered. */
const TRUE_FOR = [
  'e',
  'l',
  'le',
  'u',
  'lgu',
  'egu',
  'gu',
  'leg',
  'eu',
  'lu',
  'leu',
  '',
  'lg',
  'eg',
  'g',
  'legu',
];
/** By outcome a word with the bits of the predicates that it makes true. */
const wordOf = (outcome: string): number =>
  TRUE_FOR.reduce((word, outcomes, i) => (outcomes.includes(outcome) ? word | (1 << i) : word), 0);

/** Quiet NaNs are invalid: with 1, 2, 5, 6 … of the first 16 predicates, with the others of the last. */
const signals = (imm: Code): Code => {
  const orders = i32.lt_u(i32.sub(i32.and(imm, i32.const(3)), i32.const(1)), i32.const(2));
  return i32.xor(orders, i32.and(i32.shr_u(imm, i32.const(4)), i32.const(1)));
};

/** i32 0/1: does the outcome make the predicate true? */
const isTrueFor = (outcome: string, imm: Code): Code =>
  i32.and(i32.shr_u(i32.const(wordOf(outcome)), i32.and(imm, i32.const(15))), i32.const(1));

function packed(host: HostFormat): Instruction['emit'] {
  const { format, vector } = host;
  return (e, target, source, predicate) => {
    if (predicate === undefined) return;
    const imm = immediate(e, predicate);
    const a = e.variable('v128');
    const b = e.variable('v128');
    a.set(e.read(target));
    b.set(e.read(source));
    e.unlikely(compareLanesAreSlow(host, a.get, b.get), () =>
      withFlags(e, () => {
        e.emit(e.call(vectorHelper('sseCompare', format), e.context, a.get, b.get, signals(imm)));
        a.set(e.call(vectorHelper('sseOperand', format), e.context, a.get));
        b.set(e.call(vectorHelper('sseOperand', format), e.context, b.get));
      }),
    );
    const chosen = (outcome: string, lanes: Code): Code =>
      v128.and(lanes, i32x4.splat(i32.sub(i32.const(0), isTrueFor(outcome, imm))));
    const ordered = v128.or(
      v128.or(chosen('l', vector.lt(a.get, b.get)), chosen('g', vector.gt(a.get, b.get))),
      chosen('e', vector.eq(a.get, b.get)),
    );
    const apart = chosen('u', v128.or(nanLanes(format, a.get), nanLanes(format, b.get)));
    e.write(target, v128.or(ordered, apart));
  };
}

function scalar(host: HostFormat): Instruction['emit'] {
  return (e: InstructionEmitter, target: Operand, source: Operand, predicate?: Operand) => {
    if (predicate === undefined) return;
    const imm = immediate(e, predicate);
    const { a, b } = comparedScalars(e, host, target, source, signals(imm));
    const chosen = (outcome: string, is: Code): Code => i32.and(is, isTrueFor(outcome, imm));
    const bit = i32.or(
      i32.or(chosen('l', host.scalar.lt(a, b)), chosen('g', host.scalar.gt(a, b))),
      i32.or(chosen('e', host.scalar.eq(a, b)), chosen('u', unordered(host, a, b))),
    );
    const mask = e.let('i32', i32.sub(i32.const(0), bit));
    if (host.letter === 'd') e.writeI32(target, mask);
    else e.writeI64(target, i64.extend_i32_s(mask));
  };
}

export const avxCompare: Family = {
  instructions: HOSTS.flatMap((host) => {
    const { letter } = host;
    const suffix = letter === 'q' ? 'd' : 's';
    const declare = (mnemonic: string, prefix: string, operands: string, emit: Instruction['emit']): Instruction =>
      instruction({ mnemonic, source: sourceOf(mnemonic), forms: [[`${prefix} 0F C2 /r ib`, operands]], emit });
    return [
      ...lifted(declare(`cmpp${suffix}`, host.packed, 'Vx,Wx,Ib', packed(host)), { shape: 'three', wide: 'avx' }),
      ...lifted(declare(`cmps${suffix}`, host.single, `V${letter},W${letter},Ib`, scalar(host)), { shape: 'three', scalar: true }),
    ];
  }),
}; // prettier-ignore
