// RDRAND and RDSEED. The numbers come from a generator that is part of the machine's state (splitmix64, one u64), so that
// runs repeat; setRandomSeed (random-seed.ts) sets where it begins. There is always a number: C is set.

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { SYSTEM } from '../layout.ts';
import type { Family, Feature, Helper, Instruction } from './declare.ts';
import { instruction } from './declare.ts';

const STEP = 0x9e37_79b9_7f4a_7c15n;

function mixed(f: Emitter, value: Code, shift: number, factor: bigint): Code {
  return f.let('i64', i64.mul(i64.xor(value, i64.shr_u(value, i64.const(shift))), i64.const(factor)));
}

/** randomNumber(context): the next 64 bits. */
const next: Helper = {
  name: 'randomNumber',
  parameters: ['i32'],
  result: 'i64',
  emit(f, context) {
    const state = f.let('i64', i64.add(i64.load(context, SYSTEM.random), i64.const(STEP)));
    f.emit(i64.store(context, state, SYSTEM.random));
    const first = mixed(f, state, 30, 0xbf58_476d_1ce4_e5b9n);
    const second = mixed(f, first, 27, 0x94d0_49bb_1331_11ebn);
    return i64.xor(second, i64.shr_u(second, i64.const(31)));
  },
};

function random(mnemonic: Feature & ('rdrand' | 'rdseed'), digit: number): Instruction {
  return instruction({
    mnemonic,
    source: `SDM vol. 2B, ${mnemonic.toUpperCase()}`,
    feature: mnemonic,
    forms: [[`0F C7 /${digit}`, 'Rv']],
    writes: 'OSZAPC',
    emit(e, target) {
      e.write(target, e.let('i64', e.call('randomNumber', e.context)));
      const clear = i32.const(0);
      e.setFlags({ C: i32.const(1), Z: clear, O: clear, S: clear, A: clear, P: clear });
    },
  });
}

export const randomNumbers: Family = {
  instructions: [random('rdrand', 6), random('rdseed', 7)],
  helpers: [next],
};
