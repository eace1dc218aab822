// 128-bit products and quotients, which wasm lacks: mulHigh(a, b) and mulHighSigned(a, b) give the upper 64 bits;
// divideWide(context, high, low, divisor) needs high < divisor, returns the quotient and leaves the remainder in scratch.

import { CONTEXT } from '../layout.ts';
import { functionOf } from '../mmu/walk.ts';
import type { Code } from './wasm.ts';
import { call, i32, i64, ret, select } from './wasm.ts';
import type { FunctionCode } from './wasm-module.ts';

export function wideFunctions(): FunctionCode[] {
  const low32 = (a: Code): Code => i64.and(a, i64.const(0xffff_ffff));
  const high32 = (a: Code): Code => i64.shr_u(a, i64.const(32));
  const mulHigh = functionOf('mulHigh', ['i64', 'i64'], 'i64', (b, x, y) => {
    const cross = b.let('i64', i64.add(i64.mul(high32(x), low32(y)), high32(i64.mul(low32(x), low32(y)))));
    const middle = b.let('i64', i64.add(i64.mul(low32(x), high32(y)), low32(cross)));
    return i64.add(i64.mul(high32(x), high32(y)), i64.add(high32(cross), high32(middle)));
  });
  const mulHighSigned = functionOf('mulHighSigned', ['i64', 'i64'], 'i64', (_b, x, y) => {
    const correction = (sign: Code, other: Code): Code => i64.and(i64.shr_s(sign, i64.const(63)), other);
    return i64.sub(i64.sub(call('mulHigh', x, y), correction(x, y)), correction(y, x));
  });
  const divideWide = functionOf('divideWide', ['i32', 'i64', 'i64', 'i64'], 'i64', (b, context, high, low, divisor) => {
    const rest = b.variable('i64');
    const quotient = b.variable('i64');
    const keep = (value: Code): void => b.emit(i64.store(context, value, CONTEXT.scratch));
    b.when(i64.eqz(high), () => {
      keep(i64.rem_u(low, divisor));
      b.emit(ret(i64.div_u(low, divisor)));
    });
    // One bit a turn: the remainder takes the next bit of the dividend, and the quotient moves into its place
    const left = b.variable('i32');
    const carry = b.variable('i64');
    rest.set(high);
    quotient.set(low);
    left.set(i32.const(64));
    b.loop((leave) => {
      carry.set(i64.shr_s(rest.get, i64.const(63)));
      rest.set(i64.or(i64.shl(rest.get, i64.const(1)), i64.shr_u(quotient.get, i64.const(63))));
      quotient.set(i64.shl(quotient.get, i64.const(1)));
      b.when(i32.or(i64.ne(carry.get, i64.const(0)), i64.ge_u(rest.get, divisor)), () => {
        rest.set(i64.sub(rest.get, divisor));
        quotient.set(i64.or(quotient.get, i64.const(1)));
      });
      left.set(i32.sub(left.get, i32.const(1)));
      leave(i32.eqz(left.get));
    });
    keep(rest.get);
    return quotient.get;
  }); // prettier-ignore
  const clamp = functionOf('minimum', ['i64', 'i64'], 'i64', (_b, x, y) => select(i64.lt_u(x, y), x, y));
  return [mulHigh, mulHighSigned, divideWide, clamp];
}
