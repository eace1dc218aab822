// VEX forms derived from the declarations of SSE. What an SSE instruction means is declared once; with VEX it has a
// separate first source (VEX.vvvv), memory operands need not be aligned, the register above the result is cleared, and
// with 256 bits the same happens in both halves.
//
// A derived emit() runs that of SSE once for each half, with an emitter whose reads and writes of the SSE operands are
// redirected to the half of the VEX operands. Nothing is written before both halves are computed, and SIMD exceptions of
// both are raised together.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { f32x4, f64x2, i32x4, i64x2, i8x16 } from '../exec/wasm-simd.ts';
import { VECTOR } from '../machine.ts';
import type { Feature, Form, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import { FLAGS_AT } from './sse-number.ts';

export interface Lifting {
  /** three: the SSE target becomes a target and a first source. two: operands as in SSE. */
  readonly shape: 'three' | 'two';
  /** The feature of the 256-bit form; without one there is none. */
  readonly wide?: Feature;
  /** That of the 128-bit form, if it is not AVX. */
  readonly feature?: Feature;
  /** L is ignored. */
  readonly scalar?: boolean;
  /** The vector in memory must be aligned. */
  readonly aligned?: boolean;
  /**
   * The second operand of the 256-bit form: 'half' as wide, as it is extended; 'count', of 128 bits for both halves;
   * 'whole', though in SSE it is narrower than the vector.
   */
  readonly source?: 'half' | 'count' | 'whole';
  /** The results of the halves are 8 bytes each, side by side in an xmm register. */
  readonly narrows?: boolean;
  /** The results of the halves are so many bits each in a general register. */
  readonly bits?: number;
  /** The upper half has its part of imm8 so many bits further up. */
  readonly immediateShift?: number;
}

const PREFIXES = ['NP', '66', 'F2', 'F3'];

/** '66 REX.W 0F 3A 60 /r ib' to 'VEX.128.66.0F3A.W1 60 /r ib'. */
function vexEncoding(encoding: string, length: '128' | '256' | 'LIG'): string {
  let w = '';
  const tokens = encoding.split(' ').filter((token) => {
    if (token === 'REX.W') w = '.W1';
    if (token === 'W0') w = '.W0';
    return token !== 'REX.W' && token !== 'W0';
  });
  const prefix = PREFIXES.includes(tokens[0] ?? '') ? tokens.shift() : undefined;
  let map = tokens.shift() ?? '';
  if (tokens[0] === '38' || tokens[0] === '3A') map += tokens.shift() ?? '';
  return `VEX.${length}${prefix === undefined ? '' : `.${prefix}`}.${map}${w} ${tokens.join(' ')}`;
}

const DOUBLED: Record<string, string> = { w: 'd', d: 'q', q: 'dq' };

function vexOperands(text: string, { shape, source, narrows, aligned }: Lifting, isWide: boolean): string {
  const letters = text.split(',').map((letter, i) => {
    const [kind, size] = [letter.slice(0, 1), letter.slice(1)];
    if (!/^[VWUM]$/.test(kind) || size === '') return letter;
    if (i === 1 && isWide && source === 'count') return `${kind}dq`;
    if (i === 1 && isWide && source === 'half') return `${kind}${DOUBLED[size] ?? size}`;
    if (i === 1 && isWide && source === 'whole') return `${kind}x`;
    if (i === 0 && isWide && narrows === true) return `${kind}dq`;
    if (size === 'x' && aligned === true && (kind === 'W' || kind === 'M')) return `${kind}X`;
    return size === 'u' ? `${kind}x` : letter;
  });
  if (shape === 'two') return letters.join(',');
  const [target = '', ...rest] = letters;
  return target.startsWith('U') ? ['Hx', target, ...rest].join(',') : [target, 'Hx', ...rest].join(',');
}

const isVector = (operand: Operand): boolean => operand.kind === 'xmm' || operand.kind === 'ymm';
const DOWN = (count: number): number[] =>
  Array.from({ length: 16 }, (_unused, i) => (i + count < 16 ? i + count : 16 + i));

/** The operands of the SSE form, of the sizes that they have there; each stands for one of the VEX form. */
function sseOperands(form: Form, { source }: Lifting, reals: readonly Operand[]): Operand[] {
  const letters = form[1].split(',');
  return reals.map((real, i): Operand => {
    const isHalf = i === 1 && source === 'half' && real.kind !== 'immediate';
    const whole = i === 1 && source === 'whole' ? 8 : 16;
    const size = real.size === 32 ? whole : isHalf ? real.size / 2 : real.size;
    return { letter: letters[i] ?? '', kind: real.kind === 'ymm' ? 'xmm' : real.kind, size };
  });
}

/** The emit() of a derived form. */
function derived(sse: Instruction, form: Form, lifting: Lifting): Instruction['emit'] {
  const { shape, source, narrows, bits, immediateShift } = lifting;
  return (e, ...operands) => {
    const [target, ...others] = operands;
    if (target === undefined) return sse.emit(e);
    const first = shape === 'three' ? others.shift() : target;
    if (first === undefined) return;
    const halves = e.vectorBytes === 32 ? 2 : 1;
    const half: Lifting = halves === 2 ? lifting : { shape };
    const fakes = sseOperands(form, half, [target, ...others]);
    const reals = new Map(fakes.map((fake, i) => [fake, [first, ...others][i] ?? first]));
    const realOf = (fake: Operand): Operand => reals.get(fake) ?? fake;
    const touched = e.variable('i32');
    if (halves === 2) touched.set(i32.const(0));
    let collects = false;
    const results: Code[] = [];
    const isVectorTarget = isVector(target) || (target.kind === 'memory' && target.size >= 16);

    for (let h = 0; h < halves; h++) {
      const read = (fake: Operand): Code => {
        const real = realOf(fake);
        if (real.kind === 'immediate' && h === 1 && immediateShift !== undefined)
          return e.let('i64', i64.shr_u(e.read(real), i64.const(immediateShift)));
        if (halves === 2 && fake !== fakes[0] && source === 'half' && real.kind !== 'immediate') {
          if (fake.kind === 'memory' && fake.size === 2)
            return e.let('i64', i64.extend_i32_u(i32.and(i32.shr_u(e.readI32(real), i32.const(16 * h)), i32.const(0xffff)))); // prettier-ignore
          const whole = e.read(real);
          return h === 0 ? whole : e.let('v128', i8x16.shuffle(whole, whole, DOWN(fake.size).map((at) => at & 15))); // prettier-ignore
        }
        return real.size === 32 && h === 1 ? e.readHigh(real) : e.read(real);
      };
      /** Is a low part of the operand to be taken from a half of it? */
      const isPart = (fake: Operand): boolean => {
        const real = realOf(fake);
        return h === 1 && (real.size === 32 || (fake !== fakes[0] && source === 'half'));
      };
      const part = (fake: Operand, merge: (whole: Code) => Code): void => {
        results[h] = e.let('v128', merge(read(fake)));
      };
      const sub: InstructionEmitter = {
        ...e,
        size: fakes[0]?.size ?? 16,
        encoding: form[0],
        vectorBytes: 16,
        isMemory: (fake) => e.isMemory(fake === fakes[0] ? target : realOf(fake)),
        constant(fake) {
          const known = e.constant(realOf(fake));
          return known === undefined || h === 0 || immediateShift === undefined ? known : known >> immediateShift;
        },
        read,
        readSigned: (fake) => e.readSigned(realOf(fake)),
        hostForRead: (fake) => e.hostForRead(realOf(fake)),
        readI64: (fake) => isPart(fake) ? e.let('i64', i64x2.extract_lane(read(fake), 0)) : e.readI64(realOf(fake)),
        readI32: (fake) => isPart(fake) ? e.let('i32', i32x4.extract_lane(read(fake), 0)) : e.readI32(realOf(fake)),
        readF64: (fake) => isPart(fake) ? e.let('f64', f64x2.extract_lane(read(fake), 0)) : e.readF64(realOf(fake)),
        readF32: (fake) => isPart(fake) ? e.let('f32', f32x4.extract_lane(read(fake), 0)) : e.readF32(realOf(fake)),
        write(_fake, value) {
          if (isVectorTarget) results[h] = e.let('v128', value);
          else if (bits !== undefined && halves === 2) results[h] = e.let('i64', value);
          else e.write(target, value);
        },
        writeI64: (fake, value) => isVector(target) ? part(fake, (whole) => i64x2.replace_lane(whole, 0, value)) : e.writeI64(target, value),
        writeI32: (fake, value) => isVector(target) ? part(fake, (whole) => i32x4.replace_lane(whole, 0, value)) : e.writeI32(target, value),
        writeF64: (fake, value) => isVector(target) ? part(fake, (whole) => f64x2.replace_lane(whole, 0, value)) : e.writeI64(target, i64.reinterpret_f64(value)),
        writeF32: (fake, value) => isVector(target) ? part(fake, (whole) => f32x4.replace_lane(whole, 0, value)) : e.writeI32(target, i32.reinterpret_f32(value)),
      }; // prettier-ignore
      if (halves === 1) sse.emit(sub, ...fakes);
      else {
        const collectExceptions = (lanes: () => void): void => {
          collects = true;
          e.when(i32.eqz(touched.get), () => e.emit(i32.store(e.context, i32.const(0), FLAGS_AT)));
          touched.set(i32.const(1));
          lanes();
        };
        sse.emit({ ...sub, collectExceptions }, ...fakes);
      }
    }
    if (collects)
      e.when(touched.get, () => e.raiseIf(e.call('sseCommit', e.context), VECTOR.simdFloatingPoint));
    const [low, high] = results;
    if (low === undefined) return;
    if (high === undefined) return e.write(target, low);
    if (bits !== undefined) return e.write(target, i64.or(low, i64.shl(high, i64.const(bits))));
    if (narrows === true) return e.write(target, i64x2.replace_lane(low, 1, i64x2.extract_lane(high, 0)));
    e.writeHalves(target, low, high);
  };
}

const usesMmx = ([, operands]: Form): boolean => /(^|,)[PQN][a-z]/.test(operands);

/** The VEX instructions of an SSE declaration: one for 128 bits (or scalars), one for 256. */
export function lifted(sse: Instruction, lifting: Lifting): Instruction[] {
  const make = (form: Form, length: '128' | '256' | 'LIG', feature: Feature): Instruction => {
    const [encoding, operands, options] = form;
    const vexForm = [
      vexEncoding(encoding, length),
      vexOperands(operands, lifting, length === '256'),
    ] as const;
    return instruction({
      ...sse,
      mnemonic: `v${sse.mnemonic}`,
      source: `SDM vol. 2, ${sse.mnemonic.toUpperCase()}`,
      feature,
      forms: [options === undefined ? vexForm : [...vexForm, options]],
      emit: derived(sse, form, lifting),
    });
  };
  return sse.forms
    .filter((form) => !usesMmx(form))
    .flatMap((form) => {
      const narrow = make(form, lifting.scalar === true ? 'LIG' : '128', lifting.feature ?? 'avx');
      return lifting.wide === undefined ? [narrow] : [narrow, make(form, '256', lifting.wide)];
    });
}
