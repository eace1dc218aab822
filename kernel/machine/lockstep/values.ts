// Operands that find mistakes: edges of integers and floating-point formats among random bits, all from a seed. Values of
// 64 bits are left in the generator's `low` and `high`, because millions of bigints cost more than the instructions.

export interface Chance {
  state: number;
  low: number;
  high: number;
}
export const chance = (seed: number): Chance => ({ state: seed | 0, low: 0, high: 0 });

/** 32 random bits. */
export function bits32(from: Chance): number {
  from.state = (from.state + 0x6d2b_79f5) | 0;
  let t = Math.imul(from.state ^ (from.state >>> 15), 1 | from.state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return (t ^ (t >>> 14)) >>> 0;
}
export const below = (from: Chance, limit: number): number => bits32(from) % limit;
export function pick<T>(from: Chance, values: readonly [T, ...T[]]): T {
  return values[below(from, values.length)] ?? values[0];
}
export const oneIn = (from: Chance, n: number): boolean => below(from, n) === 0;
/** 64 random bits in low and high. */
export function bits64(from: Chance): void {
  from.low = bits32(from) | 0;
  from.high = bits32(from) | 0;
}

const INTEGERS: readonly (readonly [low: number, high: number])[] = [
  ...[0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff].map((n): [number, number] => [n, 0]),
  [0x8000_0000, 0], [-1, 0], [0, 1], [-1, 0x7fff_ffff], [0, 0x8000_0000], [-1, -1], [-2, -1], [0x8000_0000, -1], [0x7fff_ffff, -1], [0x5555_5555, 0x5555_5555],
]; // prettier-ignore

/** 64 bits in low and high. */
export function integer64(from: Chance): void {
  const kind = below(from, 4);
  if (kind < 2) {
    const [low, high] = INTEGERS[below(from, INTEGERS.length)] ?? [0, 0];
    from.low = low | 0;
    from.high = high | 0;
    return;
  }
  bits64(from);
  if (kind === 2) return;
  const shift = below(from, 64);
  if (shift >= 32) {
    from.low = from.high >>> (shift - 32);
    from.high = 0;
  } else if (shift > 0) {
    from.low = (from.low >>> shift) | (from.high << (32 - shift));
    from.high = from.high >>> shift;
  }
}

/** A double's fraction of a simple kind: all zeros, all ones, one bit, random; leaves it in low and high (20 bits). */
function simpleFraction(from: Chance): void {
  const [low, high] = [bits32(from) | 0, bits32(from) & 0xf_ffff];
  switch (below(from, 7)) {
    case 0: [from.low, from.high] = [0, 0]; break;
    case 1: [from.low, from.high] = [1, 0]; break;
    case 2: [from.low, from.high] = [-1, 0xf_ffff]; break;
    case 3: [from.low, from.high] = [0, 0x8_0000]; break;
    case 4: [from.low, from.high] = [low, high]; break;
    case 5: [from.low, from.high] = [low & ~0xffff, high]; break;
    default: [from.low, from.high] = [-2, 0xf_ffff];
  }
} // prettier-ignore

const INTEGER_ENDS = [15, 23, 29, 30, 31, 32, 51, 52, 53, 61, 62, 63, 64] as const;

/** The exponent field for a kind of number from 6 on, in a format of so many fraction bits. */
function exponentOf(from: Chance, kind: number, fraction: number, allOnes: number): number {
  const bias = allOnes >> 1;
  switch (kind) {
    case 6: return allOnes - 1; // largest
    case 7: return 1; // smallest normal
    case 8: return bias; // 1 and its neighbours
    case 9: return bias + below(from, 70); // where integers end
    case 10: return bias + pick<number>(from, INTEGER_ENDS);
    case 11: return bias + below(from, fraction); // halves
    case 13: return bias - 4 + below(from, 8);
    case 14: return Math.max(1, bias - below(from, fraction + 4));
    default: return below(from, allOnes);
  }
} // prettier-ignore

/** A double in low and high. */
export function float64(from: Chance): void {
  const sign = bits32(from) & 0x8000_0000;
  const kind = below(from, 16);
  if (kind === 2 || (kind >= 6 && kind <= 10) || kind === 12 || kind === 14) simpleFraction(from);
  else [from.low, from.high] = [bits32(from) | 0, bits32(from) & 0xf_ffff];
  let exponent = 0;
  if (kind === 0) [from.low, from.high] = [0, 0];
  else if (kind === 3) [from.low, from.high, exponent] = [0, 0, 0x7ff];
  else if (kind === 4) [from.high, exponent] = [from.high | 0x8_0000, 0x7ff];
  else if (kind === 5) [from.low, from.high, exponent] = [from.low | 1, from.high & 0x7_ffff, 0x7ff];
  else if (kind >= 6) exponent = exponentOf(from, kind, 52, 0x7ff);
  if (kind === 11) {
    const cleared = below(from, 52);
    from.low = cleared >= 32 ? 0 : from.low & (-1 << cleared);
    if (cleared > 32) from.high &= -1 << (cleared - 32);
  }
  from.high |= sign | (exponent << 20);
}

/** A single, as its bits. */
export function float32(from: Chance): number {
  const sign = bits32(from) & 0x8000_0000;
  const kind = below(from, 16);
  let fraction = bits32(from) & 0x7f_ffff;
  if (kind === 2 || (kind >= 6 && kind <= 10) || kind === 12 || kind === 14)
    fraction = pick(from, [0, 1, 0x7f_ffff, 0x40_0000, fraction, fraction & ~0xfff, 0x7f_fffe]);
  let exponent = 0;
  if (kind === 0) fraction = 0;
  else if (kind === 3) [fraction, exponent] = [0, 0xff];
  else if (kind === 4) [fraction, exponent] = [fraction | 0x40_0000, 0xff];
  else if (kind === 5) [fraction, exponent] = [(fraction & 0x3f_ffff) | 1, 0xff];
  else if (kind >= 6) exponent = exponentOf(from, kind, 23, 0xff) & 0xff;
  if (kind === 11) fraction &= -1 << below(from, 23);
  return sign | (exponent << 23) | fraction;
}

/** A number of the x87's 80 bits: mostly normal, at all edges, sometimes an encoding that it does not support. */
export function extended(from: Chance, out: Uint8Array, at: number): void {
  let low = bits32(from) | 0;
  let high = bits32(from) | 0x8000_0000;
  switch (below(from, 6)) {
    case 0: [low, high] = [0, 0x8000_0000]; break;
    case 1: [low, high] = [1, 0x8000_0000]; break;
    case 2: [low, high] = [-1, -1]; break;
    case 3: [low, high] = [0, 0xc000_0000]; break;
    case 4: low &= ~0x7ff; break;
    default:
  }
  const sign = below(from, 2) << 15;
  let exponent = 0x3fff;
  switch (below(from, 14)) {
    case 0: [low, high, exponent] = [0, 0, 0]; break;
    case 1: [low, high, exponent] = [bits32(from), bits32(from) & 0x7fff_ffff, 0]; break; // denormal
    case 2: exponent = 0; break; // pseudo-denormal
    case 3: [low, high, exponent] = [0, 0x8000_0000, 0x7fff]; break; // infinity
    case 4: [low, high, exponent] = [bits32(from), bits32(from) | 0xc000_0000, 0x7fff]; break;
    case 5: [low, high, exponent] = [bits32(from) | 1, (bits32(from) & 0x3fff_ffff) | 0x8000_0000, 0x7fff]; break; // signalling
    case 6: exponent = pick<number>(from, [1, 2, 0x7ffe, 0x7ffd]); break;
    case 7: case 8: exponent = 0x3fff + below(from, 70); break;
    case 9: exponent = 0x3fff - below(from, 70); break;
    case 10: exponent = pick<number>(from, [0x3c00, 0x3c01, 0x3bcd, 0x3f81, 0x3f6a, 0x407e, 0x43fe, 0x407f, 0x43ff]); break;
    case 11: if (oneIn(from, 4)) [high, exponent] = [high & 0x7fff_ffff, 1 + below(from, 0x7ffe)]; break; // unsupported
    case 12: exponent = 1 + below(from, 0x7ffe); break;
    default: exponent = 0x3fff - 4 + below(from, 8);
  }
  put32(out, at, low);
  put32(out, at + 4, high);
  out[at + 8] = exponent;
  out[at + 9] = (sign | exponent) >> 8;
} // prettier-ignore

export function put32(out: Uint8Array, at: number, value: number): void {
  out[at] = value;
  out[at + 1] = value >>> 8;
  out[at + 2] = value >>> 16;
  out[at + 3] = value >>> 24;
}

const TEXT = 'aabcAZz09 \0\0';

/** Fills with bytes of one kind: floats, doubles, integers of a size, text with an end. The length is a multiple of 8. */
export function vector(from: Chance, out: Uint8Array, start: number, length: number): void {
  const kind = below(from, 12);
  const laneBytes = kind < 3 || kind === 8 ? 4 : kind === 7 ? 2 : kind === 6 || kind === 10 ? 1 : 8;
  const end = start + length;
  for (let at = start; at < end; at += laneBytes) {
    if (kind < 3) put32(out, at, float32(from));
    else if (kind === 10) out[at] = TEXT.charCodeAt(below(from, TEXT.length));
    else {
      if (kind < 6) float64(from);
      else if (kind === 11) bits64(from);
      else integer64(from);
      if (laneBytes >= 4) put32(out, at, from.low);
      else out[at] = from.low;
      if (laneBytes === 2) out[at + 1] = from.low >>> 8;
      if (laneBytes === 8) put32(out, at + 4, from.high);
    }
  }
}
