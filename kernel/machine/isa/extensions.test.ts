// Extensions that the host's CPU may lack, by known answers: SHA-1 and SHA-256 of "abc" (FIPS 180-4), AES-128 (FIPS 197), the
// numbers of RDRAND.
import { describe, expect, it } from 'vitest';
import { TEST, bootTestCpu } from '../exec/test-cpu.ts';
import type { TestCpu } from '../exec/test-cpu.ts';
import { setRandomSeed } from '../random-seed.ts';

type Words = readonly number[]; // 32 bits each, the lowest lane first
const packed = (words: Words): bigint =>
  words.reduceRight((all, word) => (all << 32n) | BigInt(word >>> 0), 0n);
const unpacked = (value: bigint): number[] =>
  [0, 1, 2, 3].map((i) => Number((value >> BigInt(32 * i)) & 0xffff_ffffn));
const hex = (words: Words): string =>
  words.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');

const CODE: Record<string, string> = {
  sha1rnds4_0: '0F 3A CC CA 00', sha1rnds4_1: '0F 3A CC CA 01', sha1rnds4_2: '0F 3A CC CA 02', sha1rnds4_3: '0F 3A CC CA 03',
  sha1nexte: '0F 38 C8 CA', sha1msg1: '0F 38 C9 CA', sha1msg2: '0F 38 CA CA', sha256rnds2: '0F 38 CB CA',
  sha256msg1: '0F 38 CC CA', sha256msg2: '0F 38 CD CA', aesenc: '66 0F 38 DC CA', aesenclast: '66 0F 38 DD CA',
  aesdec: '66 0F 38 DE CA', aesdeclast: '66 0F 38 DF CA', aesimc: '66 0F 38 DB CA',
}; // prettier-ignore

/** Executes single instructions: xmm1 = operation(xmm1, xmm2) with xmm0. */
function unit(): (name: string, a: Words, b: Words, implicit?: Words) => number[] {
  const starts = new Map<string, number>();
  const bytes: string[] = [];
  for (const [name, text] of Object.entries(CODE)) {
    starts.set(name, bytes.length);
    bytes.push(...text.split(' '));
  }
  const cpu: TestCpu = bootTestCpu(bytes.join(' '), 'v3');
  return (name, a, b, implicit = [0, 0, 0, 0]) => {
    cpu.set('rip', TEST.code + (starts.get(name) ?? 0));
    cpu.setXmm(0, packed(implicit));
    cpu.setXmm(1, packed(a));
    cpu.setXmm(2, packed(b));
    expect(cpu.run(1).kind).toBe('budget');
    return unpacked(cpu.getXmm(1));
  };
}

const ABC = [0x6162_6380, ...new Array<number>(14).fill(0), 24];
const add = (a: Words, b: Words): number[] => a.map((word, i) => (word + (b[i] ?? 0)) >>> 0);
const root = (n: number, power: number): number => Math.floor((n ** power % 1) * 2 ** 32) >>> 0;
const primes = Array.from({ length: 400 }, (_unused, n) => n).filter(
  (n) => n > 1 && !Array.from({ length: n - 2 }, (_one, i) => i + 2).some((d) => n % d === 0),
);

describe('SHA', () => {
  it('computes SHA-256', () => {
    const run = unit();
    const initial = primes.slice(0, 8).map((p) => root(p, 1 / 2));
    const constants = primes.slice(0, 64).map((p) => root(p, 1 / 3));
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = initial;
    let [cdgh, abef] = [
      [h, g, d, c],
      [f, e, b, a],
    ];
    const groups = [0, 4, 8, 12].map((at) => ABC.slice(at, at + 4));
    for (let i = 0; i < 16; i++) {
      const [w0 = [], w1 = [], w2 = [], w3 = []] = groups;
      const withConstants = add(w0, constants.slice(i * 4, i * 4 + 4));
      cdgh = run('sha256rnds2', cdgh, abef, withConstants);
      abef = run('sha256rnds2', abef, cdgh, [...withConstants.slice(2), 0, 0]);
      const middle = [...w2.slice(1), w3[0] ?? 0]; // w[t-7]
      const [w23 = 0] = w3;
      expect(middle[3]).toBe(w23);
      groups.shift();
      groups.push(run('sha256msg2', add(run('sha256msg1', w0, w1), [...w2.slice(1), w23]), w3));
    }
    const end = [abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]].map(
      (word) => word ?? 0,
    );
    expect(hex(add(end, initial))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });

  it('computes SHA-1', () => {
    const run = unit();
    const initial = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    // The first word is in the topmost lane
    const groups = [0, 4, 8, 12].map((at) => ABC.slice(at, at + 4).reverse());
    let state = initial.slice(0, 4).reverse();
    let previous = state;
    let words = add(groups[0] ?? [], [0, 0, 0, initial[4] ?? 0]);
    for (let i = 0; i < 20; i++) {
      const [w0 = [], w1 = [], w2 = [], w3 = []] = groups;
      if (i > 0) words = run('sha1nexte', previous, w0);
      previous = state;
      state = run(`sha1rnds4_${Math.floor(i / 5)}`, state, words);
      const mixed = run('sha1msg1', w0, w1).map((word, lane) => (word ^ (w2[lane] ?? 0)) >>> 0);
      groups.shift();
      groups.push(run('sha1msg2', mixed, w3));
    }
    const [last] = run('sha1nexte', previous, [0, 0, 0, initial[4] ?? 0]).slice(3);
    const end = [...add(state, initial.slice(0, 4).reverse()).reverse(), last ?? 0];
    expect(hex(end)).toBe('a9993e364706816aba3e25717850c26c9cd0d89d');
  });
});

describe('AES', () => {
  it('undoes what it did', () => {
    const run = unit();
    const text = [0x3322_1100, 0x7766_5544, 0xbbaa_9988, 0xffee_ddcc];
    const key = [0x0302_0100, 0x0706_0504, 0x0b0a_0908, 0x0f0e_0d0c];
    const xor = (a: Words, b: Words): number[] => a.map((word, i) => (word ^ (b[i] ?? 0)) >>> 0);
    const hidden = run('aesenclast', run('aesenc', xor(text, key), key), key);
    const inner = run('aesimc', key, key);
    const shown = xor(run('aesdeclast', run('aesdec', xor(hidden, key), inner), key), [0, 0, 0, 0]);
    expect(shown).toEqual(text);
  });
});

describe('RDRAND and RDSEED', () => {
  it('give numbers that follow from the seed, with carry', () => {
    const numbers = (seed: bigint): bigint[] => {
      const cpu = bootTestCpu('48 0F C7 F0 48 0F C7 F8 66 0F C7 F1 0F C7 F2', 'v3');
      cpu.set('rcx', -1);
      cpu.set('rdx', -1);
      setRandomSeed(cpu.machine, seed);
      cpu.run(1);
      const first = cpu.get('rax');
      expect(cpu.get('rflags') & 0x8d5n).toBe(1n);
      cpu.run(3);
      expect(cpu.get('rcx') >> 16n).toBe(0xffff_ffff_ffffn);
      expect(cpu.get('rdx') >> 32n).toBe(0n);
      return [first, cpu.get('rax'), cpu.get('rcx'), cpu.get('rdx')];
    };
    expect(numbers(1n)).toEqual(numbers(1n));
    expect(new Set([...numbers(1n), ...numbers(2n)]).size).toBe(8);
    expect(numbers(0n)[0]).toBe(0xe220_a839_7b1d_cdafn); // splitmix64
  });
});
