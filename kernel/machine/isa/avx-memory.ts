// Masked moves and gathers (SDM vol. 2, VMASKMOV, VPMASKMOV, VPGATHERDD …): only elements whose mask has its top bit set
// are touched in memory, so that the others cannot fault.
//
// A masked move changes nothing unless all of it is accessible. A gather that faults has done the elements before it: they
// are in the target, and their masks are cleared, so that it goes on there when it is executed again.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, ret } from '../exec/wasm.ts';
import { i32x4, i64x2, v128 } from '../exec/wasm-simd.ts';
import { CONTEXT, RAM_BASE } from '../layout.ts';
import type { Family, Feature, Form, Helper, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import { ZERO, sourceOf } from './sse-support.ts';

/** 32 bytes: the elements that are moved. */
const ELEMENTS = CONTEXT.scratch + 64;
type ElementBytes = 4 | 8;

/** For each set bit of `bits`: its element's host address for this access; leaves with 1 when it faults. */
function eachElement(f: Emitter, access: 'hostRead' | 'hostWrite', address: Code, bits: Code, bytes: ElementBytes, use: (host: Code, element: Code) => void): void {
  const left = f.variable('i32');
  left.set(bits);
  f.loop((leave) => {
    leave(i32.eqz(left.get));
    const at = f.let('i32', i32.mul(i32.ctz(left.get), i32.const(bytes)));
    const host = f.let('i32', f.call(access, f.context, i64.add(address, i64.extend_i32_u(at)), i32.const(bytes)));
    f.when(i32.eqz(host), () => f.emit(ret(i32.const(1))));
    use(host, f.let('i32', i32.add(f.context, at)));
    left.set(i32.and(left.get, i32.sub(left.get, i32.const(1))));
  });
} // prettier-ignore

/** avxMaskedLoad4(context, address, bits): the chosen elements to ELEMENTS; 1 if there was a fault. */
const maskedLoad = (bytes: ElementBytes): Helper => ({
  name: `avxMaskedLoad${bytes}`,
  parameters: ['i32', 'i64', 'i32'],
  result: 'i32',
  emit(f, _context, address, bits) {
    const move = (host: Code, element: Code): Code =>
      bytes === 4
        ? i32.store(element, i32.load(host), ELEMENTS)
        : i64.store(element, i64.load(host), ELEMENTS);
    eachElement(f, 'hostRead', address, bits, bytes, (host, element) => f.emit(move(host, element)));
    return i32.const(0);
  },
});

/** avxMaskedStore4(context, address, bits): the chosen elements of ELEMENTS. */
const maskedStore = (bytes: ElementBytes): Helper => ({
  name: `avxMaskedStore${bytes}`,
  parameters: ['i32', 'i64', 'i32'],
  result: 'i32',
  emit(f, context, address, bits) {
    eachElement(f, 'hostWrite', address, bits, bytes, () => undefined);
    eachElement(f, 'hostWrite', address, bits, bytes, (host, element) => {
      f.emit(bytes === 4 ? i32.store(host, i32.load(element, ELEMENTS)) : i64.store(host, i64.load(element, ELEMENTS)));
      f.when(i32.lt_u(host, i32.const(RAM_BASE)), () => f.emit(f.call('writeBack', context)));
    });
    return i32.const(0);
  },
}); // prettier-ignore

/** A bit for each element: the top bits of the mask. */
function maskBits(e: InstructionEmitter, mask: Operand, bytes: ElementBytes): Code {
  const bitsOf = bytes === 4 ? i32x4.bitmask : i64x2.bitmask;
  const low = bitsOf(e.read(mask));
  if (e.vectorBytes === 16) return e.let('i32', low);
  return e.let('i32', i32.or(low, i32.shl(bitsOf(e.readHigh(mask)), i32.const(16 / bytes))));
}

const setElements = (e: InstructionEmitter, low: Code, high: Code): void => {
  e.emit(v128.store(e.context, low, ELEMENTS));
  e.emit(v128.store(e.context, high, ELEMENTS + 16));
};

function maskedMove(mnemonic: string, feature: Feature, bytes: ElementBytes, load: string, store: string): Instruction[] {
  const forms = (opcode: string, operands: string): Form[] =>
    ['128', '256'].map((length) => [`VEX.${length}.66.0F38.${opcode} /r`, operands]);
  const declared = { mnemonic, source: sourceOf(mnemonic), feature } as const;
  return [
    instruction({
      ...declared,
      forms: forms(load, 'Vx,Hx,Mx'),
      emit(e, target, mask, memory) {
        if (memory === undefined) return;
        const bits = maskBits(e, mask, bytes);
        setElements(e, ZERO, ZERO);
        e.faultIf(e.call(`avxMaskedLoad${bytes}`, e.context, e.address(memory), bits));
        const low = e.let('v128', v128.load(e.context, ELEMENTS));
        if (e.vectorBytes === 16) e.write(target, low);
        else e.writeHalves(target, low, e.let('v128', v128.load(e.context, ELEMENTS + 16)));
      },
    }),
    instruction({
      ...declared,
      forms: forms(store, 'Mx,Hx,Vx'),
      emit(e, memory, mask, source) {
        if (source === undefined) return;
        const bits = maskBits(e, mask, bytes);
        setElements(e, e.read(source), e.vectorBytes === 32 ? e.readHigh(source) : ZERO);
        e.faultIf(e.call(`avxMaskedStore${bytes}`, e.context, e.address(memory), bits));
      },
    }),
  ];
} // prettier-ignore

const HIGH_HALF = CONTEXT.ymmHigh - CONTEXT.xmm;
/** Of a byte of a vector register, the offset from its lower half. */
const placeOf = (byte: number): number => (byte < 16 ? byte : byte - 16 + HIGH_HALF);

/** Index elements are read before the first lane is written: the three registers differ. */
function gather(mnemonic: string, opcode: string, bytes: ElementBytes, indexBytes: ElementBytes): Instruction {
  const w = bytes === 4 ? 'W0' : 'W1';
  const form = (length: 128 | 256): Form => {
    const vector = length / 8;
    const elements = vector / Math.max(bytes, indexBytes);
    const kind = (size: number): string => (elements * size > 16 ? 'y' : 'x');
    const register = elements * bytes > 16 ? 'qq' : 'dq';
    return [`VEX.${length}.66.0F38.${w} ${opcode} /r`, `V${register},vm${indexBytes * 8}${kind(indexBytes)},H${register}`];
  };
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature: 'avx2',
    forms: [form(128), form(256)],
    emit(e, target, memory, mask) {
      if (mask === undefined) return;
      const elements = e.vectorBytes / Math.max(bytes, indexBytes);
      const [lowIndex, highIndex] = [e.read(memory), e.readHigh(memory)];
      const indexOf = (i: number): Code => {
        const perHalf = 16 / indexBytes;
        const half = i < perHalf ? lowIndex : highIndex;
        const lane = i % perHalf;
        if (indexBytes === 8) return i64x2.extract_lane(half, lane);
        return i64.extend_i32_s(i32x4.extract_lane(half, lane));
      };
      const [to, chosen] = [e.registerAddress(target), e.registerAddress(mask)];
      // Even when the first element faults the mask is spread over its elements; the target's upper part goes with the first
      const spread = (half: Code): Code =>
        bytes === 4 ? i32x4.shr_s(half, i32.const(31)) : i64x2.shr_s(half, i32.const(63));
      const highMask = e.vectorBytes === 32 ? e.readHigh(mask) : ZERO;
      e.emit(v128.store(chosen, spread(e.read(mask))));
      e.emit(v128.store(chosen, spread(highMask), HIGH_HALF));
      for (let i = 0; i < elements; i++) {
        const at = placeOf(i * bytes);
        e.when(i32.lt_s(i32.load(chosen, at + bytes - 4), i32.const(0)), () => {
          const value = e.loadAt(e.elementAddress(memory, indexOf(i)), bytes);
          e.emit(bytes === 4 ? i32.store(to, i32.wrap_i64(value), at) : i64.store(to, value, at));
          if (e.vectorBytes === 16) e.emit(v128.store(to, ZERO, HIGH_HALF));
        });
        e.emit(bytes === 4 ? i32.store(chosen, i32.const(0), at) : i64.store(chosen, i64.const(0), at));
      }
      e.emit(v128.store(chosen, ZERO));
      e.emit(v128.store(chosen, ZERO, HIGH_HALF));
      if (elements * bytes === 8) e.emit(i64.store(to, i64.const(0), 8));
      if (mask.size === 16) e.emit(v128.store(to, ZERO, HIGH_HALF));
    },
  });
} // prettier-ignore

export const avxMemory: Family = {
  helpers: [maskedLoad(4), maskedLoad(8), maskedStore(4), maskedStore(8)],
  instructions: [
    ...maskedMove('vmaskmovps', 'avx', 4, 'W0 2C', 'W0 2E'),
    ...maskedMove('vmaskmovpd', 'avx', 8, 'W0 2D', 'W0 2F'),
    ...maskedMove('vpmaskmovd', 'avx2', 4, 'W0 8C', 'W0 8E'),
    ...maskedMove('vpmaskmovq', 'avx2', 8, 'W1 8C', 'W1 8E'),
    gather('vpgatherdd', '90', 4, 4),
    gather('vpgatherdq', '90', 8, 4),
    gather('vpgatherqd', '91', 4, 8),
    gather('vpgatherqq', '91', 8, 8),
    gather('vgatherdps', '92', 4, 4),
    gather('vgatherdpd', '92', 8, 4),
    gather('vgatherqps', '93', 4, 8),
    gather('vgatherqpd', '93', 8, 8),
  ],
};
