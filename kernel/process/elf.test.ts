import { describe, expect, it } from 'vitest';
import { ELIBBAD, ENOEXEC, failed } from '../abi/errno.ts';
import { put16, put32, put64, putBig64 } from '../lib/bytes.ts';
import {
  interpreterPath, maximumAlignment, parseElfHeader, parseSegments, programHeadersAddress, totalMappingSize,
  wantsExecutableStack, type Segment,
} from './elf.ts'; // prettier-ignore

/** A sound header of a relocatable program with four program headers. */
function header(change: (bytes: Uint8Array) => void = () => undefined): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  put16(bytes, 16, 3);
  put16(bytes, 18, 62);
  put64(bytes, 24, 0x1040);
  put64(bytes, 32, 64);
  put16(bytes, 54, 56);
  put16(bytes, 56, 4);
  change(bytes);
  return bytes;
}

describe('ELF headers', () => {
  it('reads a sound one', () => {
    expect(parseElfHeader(header())).toEqual({
      kind: 'relocatable',
      entry: 0x1040,
      phoff: 64,
      phentsize: 56,
      phnum: 4,
    });
  });

  it.each<[string, (bytes: Uint8Array) => void]>([
    ['a wrong magic', (b) => (b[0] = 0x7e)],
    ['a relocatable object', (b) => put16(b, 16, 1)],
    ['a core file', (b) => put16(b, 16, 4)],
    ['an i386 program', (b) => put16(b, 18, 3)],
    ['an aarch64 program', (b) => put16(b, 18, 183)],
    ['a foreign size of program headers', (b) => put16(b, 54, 32)],
    ['no program headers', (b) => put16(b, 56, 0)],
    ['more program headers than Linux reads', (b) => put16(b, 56, 0xffff)],
  ])('refuses %s', (_case, change) => {
    expect(parseElfHeader(header(change))).toBe(ENOEXEC);
  });

  it('refuses every truncation', () => {
    for (let length = 0; length < 64; length++)
      expect(parseElfHeader(header().subarray(0, length))).toBe(ENOEXEC);
  });

  it('says ELIBBAD for a bad dynamic loader, whose type it does not look at', () => {
    expect(
      parseElfHeader(
        header((b) => put16(b, 18, 3)),
        ELIBBAD,
      ),
    ).toBe(ELIBBAD);
    expect(
      failed(
        parseElfHeader(
          header((b) => put16(b, 16, 4)),
          ELIBBAD,
        ),
      ),
    ).toBe(false);
  });

  it('never throws, whatever the bytes are', () => {
    let x = 1;
    for (let round = 0; round < 300; round++) {
      const bytes = header((b) => {
        for (let i = 0; i < 8; i++) {
          x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0;
          b[4 + (x % 60)] = x >>> 24;
        }
      });
      const parsed = parseElfHeader(bytes);
      expect(typeof parsed === 'number' ? parsed === ENOEXEC : parsed.phnum > 0).toBe(true);
    }
  });
});

const load = (part: Partial<Segment>): Segment => ({
  type: 1, flags: 4, offset: 0, vaddr: 0, fileSize: 0, memorySize: 0, align: 4096, ...part,
}); // prettier-ignore

describe('program headers', () => {
  it('reads huge numbers as they come', () => {
    const bytes = new Uint8Array(56);
    put32(bytes, 0, 1);
    putBig64(bytes, 16, 0xffff_ffff_ffff_f000n);
    putBig64(bytes, 40, 0x8000_0000_0000_0000n);
    const [segment] = parseSegments(bytes);
    expect(segment?.vaddr).toBeGreaterThan(2 ** 63);
    expect(segment?.memorySize).toBe(2 ** 63);
  });

  it('measures from the first page to the last byte', () => {
    const loads = [
      load({ vaddr: 0x40_0123, memorySize: 0x10 }),
      load({ vaddr: 0x40_3f00, memorySize: 0x200 }),
    ];
    expect(totalMappingSize(loads)).toBe(0x5000);
    expect(totalMappingSize([])).toBe(0);
  });

  it.each([
    ['powers of two count', [0x1000, 0x20_0000], 0x20_0000],
    ['others do not', [3, 0x3000, 0], 0x1000],
    ['nor absurd ones', [2 ** 60], 0x1000],
  ])('aligns: %s', (_case, aligns, expected) => {
    expect(maximumAlignment(aligns.map((align) => load({ align })))).toBe(expected);
  });

  it('finds where the headers lie in memory', () => {
    const parsed = parseElfHeader(header());
    if (failed(parsed)) throw new Error('a sound header parses');
    expect(programHeadersAddress(parsed, [load({ vaddr: 0x40_0000, fileSize: 0x500 })])).toBe(0x40_0040);
    expect(programHeadersAddress(parsed, [load({ vaddr: 0x40_0000, offset: 0x1000, fileSize: 0x500 })])).toBe(
      0,
    );
  });

  it.each([
    ['no PT_GNU_STACK', [load({})], false],
    ['PT_GNU_STACK without X', [load({ type: 0x6474_e551, flags: 6 })], false],
    ['PT_GNU_STACK with X', [load({ type: 0x6474_e551, flags: 7 })], true],
  ])('executable stack: %s', (_case, segments, expected) => {
    expect(wantsExecutableStack(segments)).toBe(expected);
  });

  it('wants a NUL behind the loader’s path', () => {
    expect(interpreterPath(new Uint8Array([47, 97, 0]))).toBe('/a');
    expect(interpreterPath(new Uint8Array([47, 97, 98]))).toBe(ENOEXEC);
  });
});
