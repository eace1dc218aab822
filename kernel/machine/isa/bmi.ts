// Bit manipulation: BMI1 and BMI2, LZCNT, MOVBE, ADX.

import { i32, i64 } from '../exec/wasm.ts';
import type { Family } from './declare.ts';
import { instruction } from './declare.ts';

const NONE = i32.const(0);

export const bmi: Family = {
  instructions: [
    instruction({
      mnemonic: 'andn',
      source: 'SDM vol. 2A, ANDN',
      feature: 'bmi1',
      forms: [['VEX.LZ.0F38 F2 /r', 'Gy,By,Ey']],
      writes: 'OSZAPC',
      emit(e, target, inverted, source) {
        if (source === undefined) return;
        const result = e.let('i64', i64.and(i64.xor(e.read(inverted), i64.const(-1)), e.read(source)));
        const shown = e.zero(result);
        e.write(target, shown);
        e.flagsOf(shown, NONE, NONE);
      },
    }),
  ],
};
