// ADX: additions with two independent carry chains. ADCX reads and writes C only, ADOX O only.

import { i32, i64 } from '../exec/wasm.ts';
import type { Family, Instruction } from './declare.ts';
import { instruction } from './declare.ts';

function addition(mnemonic: string, prefix: string, flag: 'C' | 'O'): Instruction {
  return instruction({
    mnemonic,
    source: `SDM vol. 2A, ${mnemonic.toUpperCase()}`,
    feature: 'adx',
    forms: [[`${prefix} 0F 38 F6 /r`, 'Gy,Ey']],
    writes: flag,
    emit(e, target, source) {
      const a = e.read(target);
      const b = e.read(source);
      const sum = e.add(a, b);
      const whole = e.add(sum, i64.extend_i32_u(e.flag(flag)));
      const carry =
        e.size === 8
          ? i32.or(i64.lt_u(sum, a), i64.lt_u(whole, sum))
          : i32.wrap_i64(i64.shr_u(whole, i64.const(32)));
      const kept = e.let('i32', carry);
      e.write(target, whole);
      e.setFlags({ [flag]: kept });
    },
  });
}

export const adx: Family = { instructions: [addition('adcx', '66', 'C'), addition('adox', 'F3', 'O')] };
