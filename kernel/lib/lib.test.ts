import { describe, expect, it } from 'vitest';
import {
  get64,
  getSigned64,
  latin1,
  bytesOfLatin1,
  put32,
  put64,
  get32,
  getBig64,
  putBig64,
} from './bytes.ts';
import { newRandom, random32, randomBelow, randomFill } from './random.ts';

describe('bytes', () => {
  it.each([0, 1, -1, 2 ** 32, -(2 ** 32) - 5, 2 ** 53 - 1, -(2 ** 53) + 1, 0x8000_0000])(
    'carries %d in 64 bits',
    (value) => {
      const bytes = new Uint8Array(8);
      put64(bytes, 0, value);
      expect(getSigned64(bytes, 0)).toBe(value);
    },
  );
  it('reads unsigned numbers', () => {
    const bytes = new Uint8Array(8).fill(0xff);
    expect(get32(bytes, 0)).toBe(0xffff_ffff);
    expect(get64(bytes, 0)).toBe(2 ** 64);
    expect(getBig64(bytes, 0)).toBe(0xffff_ffff_ffff_ffffn);
  });
  it('writes over what was there', () => {
    const bytes = new Uint8Array(8).fill(0xee);
    putBig64(bytes, 0, 0x1122_3344_5566_7788n);
    put32(bytes, 4, -2);
    expect([...bytes]).toEqual([0x88, 0x77, 0x66, 0x55, 0xfe, 0xff, 0xff, 0xff]);
  });
  it('keeps every byte of a text', () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(bytesOfLatin1(latin1(all))).toEqual(all);
  });
});

describe('random', () => {
  it('gives the same numbers for the same seed, others for another', () => {
    const [a, b, c] = [newRandom(7), newRandom(7), newRandom(8)];
    const row = (state: Uint32Array) => Array.from({ length: 20 }, () => random32(state));
    const first = row(a);
    expect(row(b)).toEqual(first);
    expect(row(c)).not.toEqual(first);
  });
  it('stays below its bound and reaches every value', () => {
    const state = newRandom(1);
    const seen = new Set(Array.from({ length: 500 }, () => randomBelow(state, 10)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
  it('fills odd lengths', () => {
    const bytes = new Uint8Array(7);
    randomFill(newRandom(3), bytes);
    expect(bytes.some((byte) => byte !== 0)).toBe(true);
  });
});
