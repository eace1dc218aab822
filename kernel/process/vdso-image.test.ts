import { describe, expect, it } from 'vitest';
import { get16, get32, get64, getSigned32, latin1 } from '../lib/bytes.ts';
import { VVAR_BYTES, buildVdso, elfHash } from './vdso-image.ts';

const image = buildVdso();
const dynamic = new Map<number, number>();
for (let at = 0x500; get64(image, at) !== 0; at += 16) dynamic.set(get64(image, at), get64(image, at + 8));
const names = dynamic.get(5) ?? 0;
const nameAt = (offset: number): string => {
  const rest = latin1(image.subarray(names + offset));
  return rest.slice(0, rest.indexOf('\0'));
};

/** As glibc looks: hash table, chain, name, version. */
function find(name: string): { value: number; size: number } | undefined {
  const hash = dynamic.get(4) ?? 0;
  const buckets = get32(image, hash);
  let index = get32(image, hash + 8 + 4 * (elfHash(name) % buckets));
  for (; index !== 0; index = get32(image, hash + 8 + 4 * (buckets + index))) {
    const symbol = (dynamic.get(6) ?? 0) + 24 * index;
    if (nameAt(get32(image, symbol)) !== name) continue;
    expect(get16(image, (dynamic.get(0x6fff_fff0) ?? 0) + 2 * index)).toBe(2);
    return { value: get64(image, symbol + 8), size: get64(image, symbol + 16) };
  }
  return undefined;
}

describe('the vDSO', () => {
  it.each(['clock_gettime', 'gettimeofday', 'time', 'getcpu', 'clock_getres'])(
    'exports %s under both names',
    (name) => {
      const found = find(`__vdso_${name}`);
      expect(found).toEqual(find(name));
      expect(image[(found?.value ?? 0) + (found?.size ?? 0) - 1]).toBe(0xc3); // ends in ret
    },
  );

  it('has the version that programs ask for', () => {
    const define = (dynamic.get(0x6fff_fffc) ?? 0) + 28;
    expect(get32(image, define + 8)).toBe(elfHash('LINUX_2.6'));
    expect(elfHash('LINUX_2.6')).toBe(0x03ae_75f6);
    expect(nameAt(get32(image, define + 20))).toBe('LINUX_2.6');
    expect(nameAt(dynamic.get(14) ?? 0)).toBe('linux-vdso.so.1');
  });

  it('keeps its tables apart', () => {
    expect(names).toBeGreaterThanOrEqual((dynamic.get(6) ?? 0) + 24 * get32(image, 0x404));
    expect(names + (dynamic.get(10) ?? 0)).toBeLessThanOrEqual(dynamic.get(4) ?? 0);
  });

  it('reads the wall clock from the page below it', () => {
    const { value = 0, size = 0 } = find('__vdso_time') ?? {};
    const offsets: number[] = [];
    for (let at = value; at < value + size - 6; at++) {
      const isAdd = image[at] === 0x48 && image[at + 1] === 0x03 && ((image[at + 2] ?? 0) & 0xc7) === 0x05;
      if (isAdd) offsets.push(at + 7 + getSigned32(image, at + 3));
    }
    expect(offsets).toEqual([-VVAR_BYTES, -VVAR_BYTES + 8]);
  });
});
