// Single bits and counting bits: bt, bts, btr, btc, bsf, bsr, popcnt, bswap; and crc32.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import type { Family, Helper, Instruction } from './declare.ts';
import { instruction } from './declare.ts';

/** bt and its kin. With a register as bit offset, memory is a bit string that reaches beyond the operand. */
function bitTest(
  mnemonic: string,
  opcode: string,
  digit: number,
  change?: (value: Code, mask: Code) => Code,
): Instruction {
  // prettier-ignore
  const lock = change === undefined ? '' : 'lock';
  return instruction({
    mnemonic,
    source: `SDM vol. 2A, ${mnemonic.toUpperCase()}`,
    forms: [
      [`0F ${opcode} /r`, 'Ev,Gv', lock],
      [`0F BA /${digit} ib`, 'Ev,Ib', lock],
    ],
    writes: 'C',
    emit(e, base, offset) {
      const position = e.readSigned(offset);
      const inside = e.let('i64', i64.and(position, i64.const(e.size * 8 - 1)));
      const bitString = e.isMemory(base) && offset.kind === 'gpr';
      const carry = (value: Code): Code => e.let('i32', i32.wrap_i64(i64.and(i64.shr_u(value, inside), i64.const(1)))); // prettier-ignore
      if (!bitString) {
        const value = e.read(base);
        const bit = carry(value);
        if (change !== undefined) e.write(base, change(value, i64.shl(i64.const(1), inside)));
        e.setFlags({ C: bit });
        return;
      }
      const shift = e.size === 8 ? 6 : e.size === 4 ? 5 : 4;
      const bytes = i64.shl(i64.shr_s(position, i64.const(shift)), i64.const(shift - 3));
      const address = e.address(base, bytes);
      const host = e.hostAt(address, e.size, change === undefined ? 'read' : 'write');
      const value = e.let('i64', e.size === 8 ? i64.load(host) : e.size === 4 ? i64.load32_u(host) : i64.load16_u(host)); // prettier-ignore
      const bit = carry(value);
      if (change !== undefined) {
        const changed = change(value, i64.shl(i64.const(1), inside));
        const store = e.size === 8 ? i64.store : e.size === 4 ? i64.store32 : i64.store16;
        e.emit(store(host, changed));
        e.doneAt(host);
      }
      e.setFlags({ C: bit });
    },
  });
}

const without = (value: Code, mask: Code): Code => i64.and(value, i64.xor(mask, i64.const(-1)));

function scan(mnemonic: string, opcode: string, find: (value: Code) => Code): Instruction {
  return instruction({
    mnemonic,
    source: `SDM vol. 2A, ${mnemonic.toUpperCase()}: with a source of 0 the destination stays, as on all CPUs`,
    forms: [[`0F ${opcode} /r`, 'Gv,Ev']],
    writes: 'OSZAPC',
    emit(e, target, source) {
      const value = e.read(source);
      const isZero = e.let('i32', i64.eqz(value));
      e.when(i32.eqz(isZero), () => e.write(target, find(value)));
      const clear = i32.const(0);
      e.setFlags({ Z: isZero, C: clear, O: clear, S: clear, A: clear, P: clear });
    },
  });
}

const popcnt = instruction({
  mnemonic: 'popcnt',
  source: 'SDM vol. 2B, POPCNT',
  forms: [['F3 0F B8 /r', 'Gv,Ev']],
  writes: 'OSZAPC',
  feature: 'popcnt',
  emit(e, target, source) {
    const value = e.read(source);
    e.write(target, i64.popcnt(value));
    const clear = i32.const(0);
    e.setFlags({ Z: i64.eqz(value), C: clear, O: clear, S: clear, A: clear, P: clear });
  },
});

/** The value of the operation's size with its bytes in the other order; what is above is undefined. */
export function swappedBytes(e: InstructionEmitter, a: Code): Code {
  const pairs = (value: Code, mask: bigint, shift: number): Code =>
    i64.or(
      i64.shl(i64.and(value, i64.const(mask)), i64.const(shift)),
      i64.and(i64.shr_u(value, i64.const(shift)), i64.const(mask)),
    );
  const bytes = e.let('i64', pairs(a, 0x00ff_00ff_00ff_00ffn, 8));
  if (e.size === 2) return bytes;
  const words = e.let('i64', pairs(bytes, 0x0000_ffff_0000_ffffn, 16));
  return e.size === 8 ? i64.rotl(words, i64.const(32)) : words;
}

const bswap = instruction({
  mnemonic: 'bswap',
  source: 'SDM vol. 2A, BSWAP: 16-bit operands become 0',
  forms: [['0F C8+r', 'Zv']],
  emit: (e, target) => e.write(target, e.size === 2 ? i64.const(0) : swappedBytes(e, e.read(target))),
});

/** CRC-32C, reflected, bit by bit. */
const crc32Step: Helper = {
  name: 'crc32c',
  parameters: ['i64', 'i64', 'i64'],
  result: 'i64',
  emit(f, initial, value, bitCount) {
    if (initial === undefined || value === undefined || bitCount === undefined) return 0;
    const crc = f.variable('i64');
    const left = f.variable('i64');
    const data = f.variable('i64');
    crc.set(initial);
    data.set(value);
    left.set(bitCount);
    f.loop((leave) => {
      leave(i64.eqz(left.get));
      const odd = i64.and(i64.xor(crc.get, data.get), i64.const(1));
      const polynomial = i64.and(i64.sub(i64.const(0), odd), i64.const(0x82f63b78));
      crc.set(i64.xor(i64.shr_u(crc.get, i64.const(1)), polynomial));
      data.set(i64.shr_u(data.get, i64.const(1)));
      left.set(i64.sub(left.get, i64.const(1)));
    });
    return crc.get;
  },
};

const crc32 = instruction({
  mnemonic: 'crc32',
  source: 'SDM vol. 2A, CRC32',
  forms: [
    ['F2 0F 38 F0 /r', 'Gy,Eb'],
    ['F2 0F 38 F1 /r', 'Gy,Ev'],
  ],
  feature: 'sse4.2',
  emit(e, target, source) {
    const crc = e.zero(e.read(target), 4);
    const value = e.read(source);
    e.write(target, e.call('crc32c', crc, value, i64.const(source.size * 8)));
  },
});

/** The position of the highest set bit. */
const highest = (value: Code): Code => i64.sub(i64.const(63), i64.clz(value));

export const bits: Family = {
  instructions: [
    bitTest('bt', 'A3', 4),
    bitTest('bts', 'AB', 5, i64.or),
    bitTest('btr', 'B3', 6, without),
    bitTest('btc', 'BB', 7, i64.xor),
    scan('bsf', 'BC', i64.ctz),
    scan('bsr', 'BD', highest),
    popcnt,
    bswap,
    crc32,
  ],
  helpers: [crc32Step],
};
