// Operands that find mistakes: edges of integers and floating-point formats among random bits, all from a seed.

export interface Chance {
  state: number;
}
export const chance = (seed: number): Chance => ({ state: seed | 0 });

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
export const bits64 = (from: Chance): bigint => (BigInt(bits32(from)) << 32n) | BigInt(bits32(from));

const INTEGERS = [
  0n, 1n, 2n, 3n, 7n, 8n, 15n, 16n, 31n, 32n, 33n, 63n, 64n, 0x7fn, 0x80n, 0x81n, 0xffn, 0x100n, 0x7fffn, 0x8000n, 0xffffn,
  0x1_0000n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_fffen, 0xffff_ffff_8000_0000n, 0xffff_ffff_7fff_ffffn, 0x5555_5555_5555_5555n,
] as const; // prettier-ignore

export function integer64(from: Chance): bigint {
  const kind = below(from, 4);
  if (kind < 2) return pick<bigint>(from, INTEGERS);
  return kind === 2 ? bits64(from) : bits64(from) >> BigInt(below(from, 64));
}

/** Near-format description: fraction bits and exponent bits. */
function float(from: Chance, fraction: number, exponentBits: number): bigint {
  const sign = BigInt(below(from, 2)) << BigInt(fraction + exponentBits);
  const allOnes = 2 ** exponentBits - 1;
  const bias = allOnes >> 1;
  const random = bits64(from) & ((1n << BigInt(fraction)) - 1n);
  const full = (1n << BigInt(fraction)) - 1n;
  const simple = pick<bigint>(from, [0n, 1n, full, 1n << BigInt(fraction - 1), random, random & ~0xffffn, full - 1n]);
  const at = (exponent: number, bits: bigint): bigint => sign | (BigInt(exponent) << BigInt(fraction)) | bits;
  switch (below(from, 16)) {
    case 0: return sign; // zero
    case 1: return at(0, random); // denormal
    case 2: return at(0, simple);
    case 3: return at(allOnes, 0n); // infinity
    case 4: return at(allOnes, (1n << BigInt(fraction - 1)) | random); // quiet NaN
    case 5: return at(allOnes, (random >> 1n) | 1n); // signalling NaN
    case 6: return at(allOnes - 1, simple); // largest
    case 7: return at(1, simple); // smallest normal
    case 8: return at(bias, simple); // 1 and its neighbours
    case 9: return at(bias + below(from, 70), simple); // where integers end
    case 10: return at(bias + pick<number>(from, [15, 23, 29, 30, 31, 32, 51, 52, 53, 61, 62, 63, 64]), simple);
    case 11: return at(bias + below(from, fraction), random & ~((1n << BigInt(below(from, fraction))) - 1n)); // halves
    case 12: return at(below(from, allOnes), simple);
    case 13: return at(bias - 4 + below(from, 8), random);
    case 14: return at(Math.max(1, bias - below(from, fraction + 4)), simple);
    default: return at(below(from, allOnes), random);
  }
} // prettier-ignore

export const float32 = (from: Chance): bigint => float(from, 23, 8);
export const float64 = (from: Chance): bigint => float(from, 52, 11);

/** A number of the x87's 80 bits: mostly normal, at all edges, sometimes an encoding that it does not support. */
export function extendedBytes(from: Chance): Uint8Array {
  const out = new Uint8Array(10);
  const view = new DataView(out.buffer);
  const top = 1n << 63n;
  const random = bits64(from) | top;
  const simple = pick<bigint>(from, [top, top | 1n, 0xffff_ffff_ffff_ffffn, top | (1n << 62n), random, random & ~0x7ffn]);
  const sign = below(from, 2) << 15;
  let significand = simple;
  let exponent = 0x3fff;
  switch (below(from, 14)) {
    case 0: [significand, exponent] = [0n, 0]; break;
    case 1: [significand, exponent] = [random & ~top, 0]; break; // denormal
    case 2: [significand, exponent] = [simple, 0]; break; // pseudo-denormal
    case 3: [significand, exponent] = [top, 0x7fff]; break; // infinity
    case 4: [significand, exponent] = [random | (1n << 62n), 0x7fff]; break;
    case 5: [significand, exponent] = [(random & ~(1n << 62n)) | 1n, 0x7fff]; break; // signalling
    case 6: exponent = pick<number>(from, [1, 2, 0x7ffe, 0x7ffd]); break;
    case 7: case 8: exponent = 0x3fff + below(from, 70); break;
    case 9: exponent = 0x3fff - below(from, 70); break;
    case 10: exponent = pick<number>(from, [0x3c00, 0x3c01, 0x3bcd, 0x3f81, 0x3f6a, 0x407e, 0x43fe, 0x407f, 0x43ff]); break;
    case 11: if (oneIn(from, 4)) [significand, exponent] = [random & ~top, 1 + below(from, 0x7ffe)]; break; // unsupported
    case 12: exponent = 1 + below(from, 0x7ffe); break;
    default: exponent = 0x3fff - 4 + below(from, 8);
  }
  view.setBigUint64(0, significand, true);
  view.setUint16(8, sign | exponent, true);
  return out;
} // prettier-ignore

function fillLanes(out: Uint8Array, laneBytes: number, make: () => bigint): void {
  for (let at = 0; at + laneBytes <= out.length; at += laneBytes) {
    let value = make();
    for (let i = 0; i < laneBytes; i++, value >>= 8n) out[at + i] = Number(value & 255n);
  }
}

const TEXT = 'aabcAZz09 \0\0';

/** Bytes of one kind: floats, doubles, integers of a size, text with an end. */
export function vectorBytes(from: Chance, length: number): Uint8Array {
  const out = new Uint8Array(length);
  const kind = below(from, 12);
  if (kind < 3) fillLanes(out, 4, () => float32(from));
  else if (kind < 6) fillLanes(out, 8, () => float64(from));
  else if (kind === 6) fillLanes(out, 1, () => integer64(from));
  else if (kind === 7) fillLanes(out, 2, () => integer64(from));
  else if (kind === 8) fillLanes(out, 4, () => integer64(from));
  else if (kind === 9) fillLanes(out, 8, () => integer64(from));
  else if (kind === 10) fillLanes(out, 1, () => BigInt(TEXT.charCodeAt(below(from, TEXT.length))));
  else fillLanes(out, 8, () => bits64(from));
  return out;
}
