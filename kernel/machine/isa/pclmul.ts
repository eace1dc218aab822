// PCLMULQDQ: the product of two 64-bit polynomials over GF(2).

import { i32, i64 } from '../exec/wasm.ts';
import { i64x2, v128 } from '../exec/wasm-simd.ts';
import { lifted } from './avx-lift.ts';
import type { Family, Helper } from './declare.ts';
import { instruction } from './declare.ts';
import { immediate, laneMask, sourceOf } from './sse-support.ts';

/** carrylessProduct(a, b): a turn for each bit of b. */
const carrylessProduct: Helper = {
  name: 'carrylessProduct',
  parameters: ['i64', 'i64'],
  result: 'v128',
  emit(f, a, b) {
    const left = f.variable('i64');
    const low = f.variable('i64');
    const high = f.variable('i64');
    left.set(b);
    low.set(i64.const(0));
    high.set(i64.const(0));
    const half = f.let('i64', i64.shr_u(a, i64.const(1)));
    f.loop((leave) => {
      leave(i64.eqz(left.get));
      const place = f.let('i64', i64.ctz(left.get));
      low.set(i64.xor(low.get, i64.shl(a, place)));
      high.set(i64.xor(high.get, i64.shr_u(half, i64.sub(i64.const(63), place))));
      left.set(i64.and(left.get, i64.sub(left.get, i64.const(1))));
    });
    return i64x2.replace_lane(i64x2.splat(low.get), 1, high.get);
  },
};

const pclmulqdq = instruction({
  mnemonic: 'pclmulqdq',
  source: sourceOf('pclmulqdq'),
  feature: 'pclmulqdq',
  forms: [['66 0F 3A 44 /r ib', 'Vx,Wx,Ib']],
  emit(e, target, source, selection) {
    if (selection === undefined) return;
    const a = e.read(target);
    const b = e.read(source);
    const imm = immediate(e, selection);
    const half = (vector: typeof a, bit: number): typeof a => {
      const both = laneMask(i32.shr_u(imm, i32.const(bit)), 8); // lane 0 says whether the bit is set
      const chosen = v128.bitselect(i64x2.splat(i64x2.extract_lane(vector, 1)), vector, both);
      return e.let('i64', i64x2.extract_lane(chosen, 0));
    };
    e.write(target, e.call('carrylessProduct', half(a, 0), half(b, 4)));
  },
});

export const pclmul: Family = {
  instructions: [pclmulqdq, ...lifted(pclmulqdq, { shape: 'three' })],
  helpers: [carrylessProduct],
};
