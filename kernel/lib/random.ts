// The seeded generator behind everything that is random in a machine (xoshiro128**): state is four 32-bit words, plain data.

export type RandomState = Uint32Array;

/** A generator for a seed; the same seed gives the same numbers everywhere. */
export function newRandom(seed: number): RandomState {
  const state = new Uint32Array(4);
  let x = seed >>> 0;
  for (let i = 0; i < 4; i++) {
    // splitmix32 spreads small seeds over all bits
    x = (x + 0x9e3779b9) >>> 0;
    let z = x;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    state[i] = (z ^ (z >>> 15)) >>> 0;
  }
  return state;
}

const rotl = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

/** The next 32 random bits as an unsigned number. */
export function random32(s: RandomState): number {
  const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = s;
  const result = Math.imul(rotl(Math.imul(s1, 5), 7), 9) >>> 0;
  s[2] = s2 ^ s0;
  s[3] = s3 ^ s1;
  s[1] = s1 ^ s2 ^ s0;
  s[0] = s0 ^ s3 ^ s1;
  s[2] = (s[2] ?? 0) ^ (s1 << 9);
  s[3] = rotl(s[3] ?? 0, 11);
  return result;
}

/** A whole number from 0 up to, not including, `bound` (at most 2^32). */
export function randomBelow(state: RandomState, bound: number): number {
  return Math.floor((random32(state) / 0x1_0000_0000) * bound);
}

/** Fills bytes, for getrandom and /dev/urandom. */
export function randomFill(state: RandomState, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i += 4) {
    const word = random32(state);
    for (let k = 0; k < 4 && i + k < bytes.length; k++) bytes[i + k] = (word >>> (8 * k)) & 0xff;
  }
}
