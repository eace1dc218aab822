// Floating-point arithmetic, compares, minimum and maximum, square roots and bitwise logic, scalar and packed. The host
// computes what it can (sse-lanes.ts says when), the exact helpers the rest.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import { i32x4, i8x16, v128 } from '../exec/wasm-simd.ts';
import type { Family, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import { exactHelpers } from './sse-exact.ts';
import { HOSTS } from './sse-host.ts';
import type { HostFormat } from './sse-host.ts';
import { expectArithmetic, expectOrdered, oddHelpers, oddLanes, zeroIsExact } from './sse-expect.ts';
import { controlIsSlow, denormalLanes, isDenormal, isUnusual, laneDoubt, laneHelpers, nanLanes, scalarDoubt, vectorHelper, withFlags } from './sse-lanes.ts'; // prettier-ignore
import { ZERO, binary, immediate, knownImmediate, lanes, sourceOf } from './sse-support.ts';

type Name = 'Add' | 'Sub' | 'Mul' | 'Div';
const HOST_OPERATION = { Add: 'add', Sub: 'sub', Mul: 'mul', Div: 'div' } as const;

const anyOf = (...conditions: Code[]): Code => conditions.reduce((a, b) => i32.or(a, b));
const anyLane = (...masks: Code[]): Code => v128.any_true(masks.reduce((a, b) => v128.or(a, b)));

/** The same for scalars as oddLanes. */
function oddScalar(host: HostFormat, name: string, operands: readonly Code[], result: Code): Code {
  const { format, scalar, bitsOf } = host;
  const isZero = (x: Code): Code => scalar.eq(x, scalar.const(0));
  const [a = result, b = result] = operands;
  const rule = zeroIsExact(name);
  const source = rule === 'by either' ? i32.or(isZero(a), isZero(b)) : isZero(a);
  const exact = rule === 'always' ? isZero(result) : i32.and(isZero(result), source);
  const odd = i32.and(isUnusual(format, bitsOf(result)), i32.eqz(exact));
  return operands.reduce((any, x) => i32.or(any, isDenormal(format, bitsOf(x))), odd);
}

/** The helper's operation on all lanes of one or two vectors, flags raised; `fast` is what the host makes of it. */
function packedArithmetic(e: InstructionEmitter, host: HostFormat, helper: string, operands: readonly Code[], fast: Code): Code {
  const expected = expectArithmetic(e, host, 'v128', helper, operands, fast);
  if (expected !== undefined) return expected;
  const { format } = host;
  const result = e.variable('v128');
  result.set(fast);
  e.unlikely(i32.or(laneDoubt(e, format, operands, result.get), controlIsSlow(e)), () =>
    e.when(i32.or(controlIsSlow(e), oddLanes(host, helper, operands, result.get)), () =>
      withFlags(e, () => result.set(e.call(vectorHelper(helper, format), e.context, ...operands))),
    ),
  );
  return result.get;
} // prettier-ignore
function scalarArithmetic(e: InstructionEmitter, host: HostFormat, helper: string, operands: readonly Code[], fast: Code): Code {
  const expected = expectArithmetic(e, host, host.type, helper, operands, fast);
  if (expected !== undefined) return expected;
  const result = e.variable(host.type);
  result.set(fast);
  e.unlikely(i32.or(scalarDoubt(e, host, operands, result.get), controlIsSlow(e)), () =>
    e.when(i32.or(controlIsSlow(e), oddScalar(host, helper, operands, result.get)), () =>
      withFlags(e, () =>
        result.set(host.ofBits(e.call(`${helper}${host.format.bits}`, e.context, ...operands.map(host.wide)))),
      ),
    ),
  );
  return result.get;
} // prettier-ignore

function arithmetic(stem: string, opcode: string, name: Name): Instruction[] {
  return HOSTS.flatMap((host) => {
    const { feature, letter } = host;
    const suffix = letter === 'q' ? 'd' : 's';
    const operation = HOST_OPERATION[name];
    return [
      binary(`${stem}p${suffix}`, feature, [[`${host.packed} 0F ${opcode} /r`, 'Vx,Wx']], (a, b, e) =>
        packedArithmetic(e, host, `sse${name}`, [a, b], host.vector[operation](a, b)),
      ),
      instruction({
        mnemonic: `${stem}s${suffix}`,
        source: sourceOf(`${stem}s${suffix}`),
        feature,
        forms: [[`${host.single} 0F ${opcode} /r`, `V${letter},W${letter}`]],
        emit(e, target, source) {
          const a = host.read(e, target);
          const b = host.read(e, source);
          const fast = host.scalar[operation](a, b);
          host.write(e, target, scalarArithmetic(e, host, `sse${name}`, [a, b], fast));
        },
      }),
    ];
  });
}

function squareRoots(): Instruction[] {
  return HOSTS.flatMap((host) => {
    const { feature, letter } = host;
    const suffix = letter === 'q' ? 'd' : 's';
    return [
      instruction({
        mnemonic: `sqrtp${suffix}`,
        source: sourceOf(`sqrtp${suffix}`),
        feature,
        forms: [[`${host.packed} 0F 51 /r`, 'Vx,Wx']],
        emit(e, target, source) {
          const a = e.read(source);
          e.write(target, packedArithmetic(e, host, 'sseSqrt', [a], host.vector.sqrt(a)));
        },
      }),
      instruction({
        mnemonic: `sqrts${suffix}`,
        source: sourceOf(`sqrts${suffix}`),
        feature,
        forms: [[`${host.single} 0F 51 /r`, `V${letter},W${letter}`]],
        emit(e, target, source) {
          const a = host.read(e, source);
          host.write(e, target, scalarArithmetic(e, host, 'sseSqrt', [a], host.scalar.sqrt(a)));
        },
      }),
    ];
  });
}

export const unordered = (host: HostFormat, a: Code, b: Code): Code =>
  i32.or(host.scalar.ne(a, a), host.scalar.ne(b, b));

/** Comparing is the same on the host unless an operand is a NaN or denormal: then there are flags to raise, and DAZ counts. */
function compareIsSlow(host: HostFormat, a: Code, b: Code): Code {
  const { format, bitsOf } = host;
  return anyOf(unordered(host, a, b), isDenormal(format, bitsOf(a)), isDenormal(format, bitsOf(b)));
}
export function compareLanesAreSlow(host: HostFormat, a: Code, b: Code): Code {
  const { format } = host;
  return anyLane(nanLanes(format, a), nanLanes(format, b), denormalLanes(format, a), denormalLanes(format, b)); // prettier-ignore
}

function extrema(stem: string, opcode: string, name: 'Min' | 'Max'): Instruction[] {
  const before = name === 'Min' ? 'lt' : 'gt';
  return HOSTS.flatMap((host) => {
    const { format, feature, letter } = host;
    const suffix = letter === 'q' ? 'd' : 's';
    return [
      binary(`${stem}p${suffix}`, feature, [[`${host.packed} 0F ${opcode} /r`, 'Vx,Wx']], (a, b, e) => {
        const fast = v128.bitselect(a, b, host.vector[before](a, b));
        if (expectOrdered(e, host, 'v128', a, b)) return fast;
        const result = e.variable('v128');
        result.set(fast);
        e.unlikely(compareLanesAreSlow(host, a, b), () =>
          withFlags(e, () => result.set(e.call(vectorHelper(`sse${name}`, format), e.context, a, b))),
        );
        return result.get;
      }),
      instruction({
        mnemonic: `${stem}s${suffix}`,
        source: sourceOf(`${stem}s${suffix}`),
        feature,
        forms: [[`${host.single} 0F ${opcode} /r`, `V${letter},W${letter}`]],
        emit(e, target, source) {
          const a = host.read(e, target);
          const b = host.read(e, source);
          const fast = select(host.scalar[before](a, b), a, b);
          if (expectOrdered(e, host, host.type, a, b)) return host.write(e, target, fast);
          const result = e.variable(host.type);
          result.set(fast);
          e.unlikely(compareIsSlow(host, a, b), () =>
            withFlags(e, () =>
              result.set(
                host.ofBits(e.call(`sse${name}${format.bits}`, e.context, host.wide(a), host.wide(b))),
              ),
            ),
          );
          host.write(e, target, result.get);
        },
      }),
    ];
  });
}

/** Operands of a comparison in variables: as DAZ leaves them, with the flags raised. */
export function comparedScalars(e: InstructionEmitter, host: HostFormat, target: Operand, source: Operand, quietToo: Code): { a: Code; b: Code; isOrdered: boolean } {
  const { format, type } = host;
  const [first, second] = [host.read(e, target), host.read(e, source)];
  if (expectOrdered(e, host, type, first, second)) return { a: first, b: second, isOrdered: true };
  const a = e.variable(type);
  const b = e.variable(type);
  a.set(first);
  b.set(second);
  e.unlikely(compareIsSlow(host, a.get, b.get), () =>
    withFlags(e, () => {
      e.emit(e.call(`sseCompare${format.bits}`, e.context, host.wide(a.get), host.wide(b.get), quietToo));
      a.set(host.ofBits(e.call(`sseOperand${format.bits}`, e.context, host.wide(a.get))));
      b.set(host.ofBits(e.call(`sseOperand${format.bits}`, e.context, host.wide(b.get))));
    }),
  );
  return { a: a.get, b: b.get, isOrdered: false };
} // prettier-ignore

/** Predicates 1, 2, 5 and 6 (less, less or equal and their opposites) find quiet NaNs invalid. */
const orders = (imm: Code): Code => i32.lt_u(i32.sub(i32.and(imm, i32.const(3)), i32.const(1)), i32.const(2));
const bitOf = (imm: Code, bit: number): Code => i32.and(imm, i32.const(1 << bit));

/** A comparison by its predicate, where no lane is a NaN. */
function orderedLanes({ vector }: HostFormat, predicate: number, a: Code, b: Code): Code {
  const lanes = [vector.eq(a, b), vector.lt(a, b), vector.le(a, b), ZERO][predicate & 3] ?? ZERO;
  return (predicate & 4) === 0 ? lanes : v128.not(lanes);
}
function orderedScalars({ scalar }: HostFormat, predicate: number, a: Code, b: Code): Code {
  const holds = [scalar.eq(a, b), scalar.lt(a, b), scalar.le(a, b), i32.const(0)][predicate & 3] ?? i32.const(0); // prettier-ignore
  return (predicate & 4) === 0 ? holds : i32.eqz(holds);
}

function compares(): Instruction[] {
  return HOSTS.flatMap((host) => {
    const { format, feature, letter } = host;
    const suffix = letter === 'q' ? 'd' : 's';
    return [
      instruction({
        mnemonic: `cmpp${suffix}`,
        source: sourceOf(`cmpp${suffix}`),
        feature,
        forms: [[`${host.packed} 0F C2 /r ib`, 'Vx,Wx,Ib']],
        emit(e, target, source, predicate) {
          if (predicate === undefined) return;
          const imm = immediate(e, predicate);
          const [first, second] = [e.read(target), e.read(source)];
          const known = knownImmediate(e, predicate);
          if (known !== undefined && expectOrdered(e, host, 'v128', first, second))
            return e.write(target, orderedLanes(host, known, first, second));
          const a = e.variable('v128');
          const b = e.variable('v128');
          a.set(first);
          b.set(second);
          e.unlikely(compareLanesAreSlow(host, a.get, b.get), () =>
            withFlags(e, () => {
              e.emit(e.call(vectorHelper('sseCompare', format), e.context, a.get, b.get, orders(imm)));
              a.set(e.call(vectorHelper('sseOperand', format), e.context, a.get));
              b.set(e.call(vectorHelper('sseOperand', format), e.context, b.get));
            }),
          );
          const { vector } = host;
          const unorderedLanes = v128.or(nanLanes(format, a.get), nanLanes(format, b.get));
          const chosen = select(
            bitOf(imm, 1),
            select(bitOf(imm, 0), unorderedLanes, vector.le(a.get, b.get)),
            select(bitOf(imm, 0), vector.lt(a.get, b.get), vector.eq(a.get, b.get)),
          );
          const negate = i32.sub(i32.const(0), i32.and(i32.shr_u(imm, i32.const(2)), i32.const(1)));
          e.write(target, v128.xor(chosen, i32x4.splat(negate)));
        },
      }),
      instruction({
        mnemonic: `cmps${suffix}`,
        source: sourceOf(`cmps${suffix}`),
        feature,
        forms: [[`${host.single} 0F C2 /r ib`, `V${letter},W${letter},Ib`]],
        emit(e, target, source, predicate) {
          if (predicate === undefined) return;
          const imm = immediate(e, predicate);
          const { a, b, isOrdered } = comparedScalars(e, host, target, source, orders(imm));
          const { scalar } = host;
          const write = (bit: Code): void => {
            const mask = i32.sub(i32.const(0), bit);
            if (letter === 'd') e.writeI32(target, mask);
            else e.writeI64(target, i64.extend_i32_s(mask));
          };
          const known = knownImmediate(e, predicate);
          if (known !== undefined && isOrdered) return write(orderedScalars(host, known, a, b));
          const table = i32.or(
            i32.or(scalar.eq(a, b), i32.shl(scalar.lt(a, b), i32.const(1))),
            i32.or(i32.shl(scalar.le(a, b), i32.const(2)), i32.shl(unordered(host, a, b), i32.const(3))),
          );
          const chosen = i32.shr_u(table, i32.and(imm, i32.const(3)));
          write(i32.and(i32.xor(chosen, i32.shr_u(imm, i32.const(2))), i32.const(1)));
        },
      }),
    ];
  });
}

/** comis and ucomis: they differ in whether a quiet NaN is invalid. */
function flagCompares(): Instruction[] {
  return HOSTS.flatMap((host) =>
    [true, false].map((quietToo) => {
      const { letter, feature, scalar } = host;
      const mnemonic = `${quietToo ? '' : 'u'}comis${letter === 'q' ? 'd' : 's'}`;
      return instruction({
        mnemonic,
        source: sourceOf(mnemonic),
        feature,
        forms: [[`${host.packed} 0F ${quietToo ? '2F' : '2E'} /r`, `V${letter},W${letter}`]],
        writes: 'OSZAPC',
        emit(e, first, second) {
          const { a, b, isOrdered } = comparedScalars(e, host, first, second, i32.const(quietToo ? 1 : 0));
          const none = i32.const(0);
          if (isOrdered)
            return e.setFlags({ Z: scalar.eq(a, b), P: none, C: scalar.lt(a, b), O: none, S: none, A: none });
          e.setFlags({
            Z: i32.eqz(i32.or(scalar.lt(a, b), scalar.gt(a, b))),
            P: unordered(host, a, b),
            C: i32.eqz(scalar.ge(a, b)),
            O: none,
            S: none,
            A: none,
          });
        },
      });
    }),
  );
}

const EVEN_SINGLES = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const ODD_SINGLES = EVEN_SINGLES.map((place) => place + 4);
const EVEN_DOUBLES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const ODD_DOUBLES = EVEN_DOUBLES.map((place) => place + 8);

function horizontal(stem: string, opcode: string, name: 'Add' | 'Sub'): Instruction[] {
  return HOSTS.map((host) => {
    const double = host.letter === 'q';
    const forms = [[`${double ? '66' : 'F2'} 0F ${opcode} /r`, 'Vx,Wx']] as const;
    return binary(`${stem}p${double ? 'd' : 's'}`, 'sse3', forms, (a, b, e) => {
      const even = e.let('v128', i8x16.shuffle(a, b, double ? EVEN_DOUBLES : EVEN_SINGLES));
      const odd = e.let('v128', i8x16.shuffle(a, b, double ? ODD_DOUBLES : ODD_SINGLES));
      return packedArithmetic(
        e,
        host,
        `sse${name}`,
        [even, odd],
        host.vector[HOST_OPERATION[name]](even, odd),
      );
    });
  });
}

/** Lanes of even number subtract. */
function addSubtract(): Instruction[] {
  return HOSTS.map((host) => {
    const double = host.letter === 'q';
    const signs = double ? v128.const(1n << 63n, 0n) : lanes(-(2 ** 31), 0, -(2 ** 31), 0);
    const forms = [[`${double ? '66' : 'F2'} 0F D0 /r`, 'Vx,Wx']] as const;
    return binary(`addsubp${double ? 'd' : 's'}`, 'sse3', forms, (a, b, e) =>
      packedArithmetic(e, host, 'sseAddSub', [a, b], host.vector.add(a, v128.xor(b, signs))),
    );
  });
}

function logic(stem: string, opcode: string, op: (a: Code, b: Code) => Code): Instruction[] {
  return [
    binary(`${stem}ps`, 'sse', [[`NP 0F ${opcode} /r`, 'Vx,Wx']], op),
    binary(`${stem}pd`, 'sse2', [[`66 0F ${opcode} /r`, 'Vx,Wx']], op),
  ];
}

export const sseFloat: Family = {
  helpers: [...exactHelpers, ...laneHelpers, ...oddHelpers],
  instructions: [
    ...arithmetic('add', '58', 'Add'),
    ...arithmetic('mul', '59', 'Mul'),
    ...arithmetic('sub', '5C', 'Sub'),
    ...arithmetic('div', '5E', 'Div'),
    ...extrema('min', '5D', 'Min'),
    ...extrema('max', '5F', 'Max'),
    ...squareRoots(),
    ...compares(),
    ...flagCompares(),
    ...horizontal('hadd', '7C', 'Add'),
    ...horizontal('hsub', '7D', 'Sub'),
    ...addSubtract(),
    ...logic('and', '54', v128.and),
    ...logic('andn', '55', (a, b) => v128.andnot(b, a)),
    ...logic('or', '56', v128.or),
    ...logic('xor', '57', v128.xor),
  ],
};
