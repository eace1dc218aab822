// Moves of XMM and MMX registers: whole, halves, scalars, between register files, masks of sign bits, non-temporal.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { i32x4, i64x2, i8x16, v128 } from '../exec/wasm-simd.ts';
import type { Family, Feature, Form, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import { onlyLow, sourceOf, unary, widen } from './sse-support.ts';

type Emit = Instruction['emit'];

function move(mnemonic: string, feature: Feature, forms: readonly Form[], emit: Emit = copy): Instruction {
  return instruction({ mnemonic, source: sourceOf(mnemonic), feature, forms, emit });
}

/** Same size on both sides. */
function copy(e: InstructionEmitter, target: Operand, source: Operand): void {
  e.write(target, e.read(source));
}

const lowQuadword: Emit = (e, target, source) => e.writeI64(target, e.readI64(source));

function toHighQuadword(e: InstructionEmitter, target: Operand, value: Code): void {
  e.write(target, i64x2.replace_lane(e.read(target), 1, value));
}

const fromHighQuadword: Emit = (e, target, source) =>
  e.writeI64(target, i64x2.extract_lane(e.read(source), 1));

/** From memory a scalar clears the rest of the register; between registers it does not. */
const loadDouble: Emit = (e, target, source) => {
  if (e.isMemory(source)) e.write(target, e.read(source));
  else e.writeI64(target, e.readI64(source));
};
const loadSingle: Emit = (e, target, source) => {
  if (e.isMemory(source)) e.write(target, e.read(source));
  else e.writeI32(target, e.readI32(source));
};

const signMask = (mnemonic: string, feature: Feature, forms: readonly Form[], mask: (vector: Code) => Code): Instruction =>
  move(mnemonic, feature, forms, (e, target, source) =>
    e.write(target, i64.extend_i32_u(mask(e.read(source)))),
  ); // prettier-ignore

/** Stores the bytes whose mask byte has its top bit, at [rDI]. All of the place must be writable, even for a mask of zeros. */
function maskedStore(e: InstructionEmitter, value: Code, mask: Code, bytes: 8 | 16): void {
  const chosen = e.let('v128', i8x16.shr_s(mask, i32.const(7)));
  const offset = e.address32 ? i64.and(e.register(7), i64.const(0xffff_ffff)) : e.register(7);
  const place = e.let('i64', i64.add(offset, e.segmentBase()));
  if (bytes === 16) e.hostAt(i64.add(place, i64.const(8)), 8, 'write'); // two stores, the upper first; alignment is that of 8 bytes
  const host = e.hostAt(place, bytes, 'write');
  const old = bytes === 16 ? v128.load(host) : v128.load64_zero(host);
  const merged = e.let('v128', v128.bitselect(value, old, chosen));
  e.emit(bytes === 16 ? v128.store(host, merged) : i64.store(host, i64x2.extract_lane(merged, 0)));
  e.doneAt(host);
}

export const sseMove: Family = {
  instructions: [
    move('movups', 'sse', [['NP 0F 10 /r', 'Vx,Wu'], ['NP 0F 11 /r', 'Wu,Vx']]),
    move('movupd', 'sse2', [['66 0F 10 /r', 'Vx,Wu'], ['66 0F 11 /r', 'Wu,Vx']]),
    move('movaps', 'sse', [['NP 0F 28 /r', 'Vx,Wx'], ['NP 0F 29 /r', 'Wx,Vx']]),
    move('movapd', 'sse2', [['66 0F 28 /r', 'Vx,Wx'], ['66 0F 29 /r', 'Wx,Vx']]),
    move('movdqa', 'sse2', [['66 0F 6F /r', 'Vx,Wx'], ['66 0F 7F /r', 'Wx,Vx']]),
    move('movdqu', 'sse2', [['F3 0F 6F /r', 'Vx,Wu'], ['F3 0F 7F /r', 'Wu,Vx']]),
    move('lddqu', 'sse3', [['F2 0F F0 /r', 'Vx,Mu']]),
    move('movntps', 'sse', [['NP 0F 2B /r', 'Mx,Vx']]),
    move('movntpd', 'sse2', [['66 0F 2B /r', 'Mx,Vx']]),
    move('movntdq', 'sse2', [['66 0F E7 /r', 'Mx,Vx']]),
    move('movntdqa', 'sse4.1', [['66 0F 38 2A /r', 'Vx,Mx']]),
    move('movntq', 'sse', [['NP 0F E7 /r', 'Mq,Pq']]),

    move('movss', 'sse', [['F3 0F 10 /r', 'Vd,Wd']], loadSingle),
    move('movss', 'sse', [['F3 0F 11 /r', 'Wd,Vd']], (e, target, source) => e.writeI32(target, e.readI32(source))),
    move('movsd', 'sse2', [['F2 0F 10 /r', 'Vq,Wq']], loadDouble),
    move('movsd', 'sse2', [['F2 0F 11 /r', 'Wq,Vq']], lowQuadword),
    move('movq', 'sse2', [['F3 0F 7E /r', 'Vq,Wq']], (e, target, source) => e.write(target, onlyLow(e.readI64(source)))),
    move('movq', 'sse2', [['66 0F D6 /r', 'Wq,Vq']], (e, target, source) => {
      if (e.isMemory(target)) e.writeI64(target, e.readI64(source));
      else e.write(target, onlyLow(e.readI64(source)));
    }),
    move('movd', 'sse2', [['66 0F 6E /r', 'Vx,Ey']], (e, target, source) => e.write(target, onlyLow(e.read(source)))),
    move('movd', 'sse2', [['66 0F 7E /r', 'Ey,Vx']], (e, target, source) => e.write(target, e.readI64(source))),
    move('movd', 'mmx', [['NP 0F 6E /r', 'Pq,Ey'], ['NP 0F 7E /r', 'Ey,Pq']]),
    move('movq', 'mmx', [['NP 0F 6F /r', 'Pq,Qq'], ['NP 0F 7F /r', 'Qq,Pq']]),
    move('movq2dq', 'sse2', [['F3 0F D6 /r', 'Vx,Nq']], (e, target, source) => e.write(target, onlyLow(e.read(source)))),
    move('movdq2q', 'sse2', [['F2 0F D6 /r', 'Pq,Uq']], (e, target, source) => e.write(target, e.readI64(source))),

    move('movlps', 'sse', [['NP 0F 12 /r', 'Vq,Mq'], ['NP 0F 13 /r', 'Mq,Vq']], lowQuadword),
    move('movlpd', 'sse2', [['66 0F 12 /r', 'Vq,Mq'], ['66 0F 13 /r', 'Mq,Vq']], lowQuadword),
    move('movhlps', 'sse', [['NP 0F 12 /r', 'Vx,Ux']], fromHighQuadword),
    move('movhps', 'sse', [['NP 0F 16 /r', 'Vx,Mq']], (e, target, source) => toHighQuadword(e, target, e.read(source))),
    move('movhps', 'sse', [['NP 0F 17 /r', 'Mq,Vx']], fromHighQuadword),
    move('movhpd', 'sse2', [['66 0F 16 /r', 'Vx,Mq']], (e, target, source) => toHighQuadword(e, target, e.read(source))),
    move('movhpd', 'sse2', [['66 0F 17 /r', 'Mq,Vx']], fromHighQuadword),
    move('movlhps', 'sse', [['NP 0F 16 /r', 'Vx,Ux']], (e, target, source) => toHighQuadword(e, target, e.readI64(source))),

    move('movddup', 'sse3', [['F2 0F 12 /r', 'Vx,Wq']], (e, target, source) => e.write(target, i64x2.splat(e.readI64(source)))),
    unary('movsldup', 'sse3', [['F3 0F 12 /r', 'Vx,Wx']], (a) => i8x16.shuffle(a, a, [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11])),
    unary('movshdup', 'sse3', [['F3 0F 16 /r', 'Vx,Wx']], (a) => i8x16.shuffle(a, a, [4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15])),

    signMask('movmskps', 'sse', [['NP 0F 50 /r', 'Gd,Ux']], i32x4.bitmask),
    signMask('movmskpd', 'sse2', [['66 0F 50 /r', 'Gd,Ux']], i64x2.bitmask),
    signMask('pmovmskb', 'sse2', [['66 0F D7 /r', 'Gd,Ux']], i8x16.bitmask),
    move('pmovmskb', 'sse', [['NP 0F D7 /r', 'Gd,Nq']], (e, target, source) =>
      e.write(target, i64.extend_i32_u(i8x16.bitmask(onlyLow(e.read(source)))))),

    instruction({
      mnemonic: 'maskmovdqu',
      source: sourceOf('maskmovdqu'),
      feature: 'sse2',
      missing: 'with a mask that has zeros the whole 16 bytes must be writable',
      forms: [['66 0F F7 /r', 'Vx,Ux', 'a32']],
      emit: (e, value, mask) => maskedStore(e, e.read(value), e.read(mask), 16),
    }),
    instruction({
      mnemonic: 'maskmovq',
      source: sourceOf('maskmovq'),
      feature: 'sse',
      missing: 'with a mask that has zeros the whole 8 bytes must be writable',
      forms: [['NP 0F F7 /r', 'Pq,Nq', 'a32']],
      emit: (e, value, mask) => maskedStore(e, widen(e, e.read(value)), onlyLow(e.read(mask)), 8),
    }),
  ],
}; // prettier-ignore
