// AVX and AVX2. Most of it is derived from the declarations of SSE (avx-lift.ts); here stands what is new.

import { i32x4 } from '../exec/wasm-simd.ts';
import type { Family } from './declare.ts';
import { instruction } from './declare.ts';

export const avx: Family = {
  instructions: [
    instruction({
      mnemonic: 'vpaddd',
      source: 'SDM vol. 2, VPADDD',
      feature: 'avx2',
      forms: [['VEX.256.66.0F.WIG FE /r', 'Vx,Hx,Wx']],
      emit(e, target, a, b) {
        if (b === undefined) return;
        const low = e.let('v128', i32x4.add(e.read(a), e.read(b)));
        const high = e.let('v128', i32x4.add(e.readHigh(a), e.readHigh(b)));
        e.writeHalves(target, low, high);
      },
    }),
    instruction({
      mnemonic: 'vpaddd',
      source: 'SDM vol. 2, VPADDD',
      feature: 'avx',
      forms: [['VEX.128.66.0F.WIG FE /r', 'Vx,Hx,Wx']],
      emit(e, target, a, b) {
        if (b !== undefined) e.write(target, i32x4.add(e.read(a), e.read(b)));
      },
    }),
  ],
};
